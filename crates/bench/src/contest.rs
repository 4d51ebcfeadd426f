//! Rounds: contestants take turns, A B A B, so that what drifts drifts for all of them.

use anyhow::{Context, Result};
use futures_util::future::LocalBoxFuture;

use crate::clock;
use crate::foreign::{Foreign, QUIET};
use crate::report::progress;
use crate::stats::{Round, Spread};

/// How often a round that others disturbed is taken again.
const REPEATS: usize = 2;

/// What a contestant is to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Part {
    /// Drover.
    Ours,
    /// What the machine allows.
    Floor,
    /// Another program.
    Peer,
}

type Work<'a> = Box<dyn FnMut() -> LocalBoxFuture<'a, Result<Round>> + 'a>;

/// One that takes part in a row's rounds.
pub(crate) struct Contestant<'a> {
    part: Part,
    name: String,
    /// Why it does not, if it does not.
    work: Result<Work<'a>, String>,
}

impl<'a> Contestant<'a> {
    /// One whose round is this function's future.
    pub(crate) fn new<F>(part: Part, name: &str, mut round: impl FnMut() -> F + 'a) -> Self
    where
        F: Future<Output = Result<Round>> + 'a,
    {
        Self { part, name: name.to_owned(), work: Ok(Box::new(move || Box::pin(round()))) }
    }

    /// One that blocks while it is measured.
    pub(crate) fn blocking(part: Part, name: &str, mut round: impl FnMut() -> Result<Round> + 'a) -> Self {
        Self {
            part,
            name: name.to_owned(),
            work: Ok(Box::new(move || Box::pin(std::future::ready(round())))),
        }
    }

    /// A peer that is not here.
    pub(crate) fn absent(name: &str, why: &str) -> Self {
        Self { part: Part::Peer, name: name.to_owned(), work: Err(why.to_owned()) }
    }
}

/// What a contestant's rounds gave.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) part: Part,
    pub(crate) name: String,
    pub(crate) rounds: Vec<Round>,
    /// The most cores that others used during a round that counts; none where it is not known.
    pub(crate) foreign: Option<f64>,
    /// Why there are no rounds.
    pub(crate) absent: Option<String>,
}

impl Outcome {
    pub(crate) fn spread(&self, key: &str) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| round.values.get(key).copied()).collect())
    }

    pub(crate) fn samples(&self) -> u64 {
        self.rounds.iter().map(|round| round.samples).sum()
    }
}

/// How rounds are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) rounds: usize,
    /// Seconds to wait for a quiet machine before each; 0 waits for nothing and repeats nothing.
    pub(crate) patience: u64,
}

/// Lets them take turns. A peer that fails is absent from then on; anything else that fails ends the row.
pub(crate) async fn contest(
    foreign: &Foreign,
    rules: Rules,
    row: &str,
    mut contestants: Vec<Contestant<'_>>,
) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = contestants
        .iter()
        .map(|one| Outcome {
            part: one.part,
            name: one.name.clone(),
            rounds: Vec::new(),
            foreign: None,
            absent: one.work.as_ref().err().cloned(),
        })
        .collect();
    for number in 1..=rules.rounds {
        for (contestant, outcome) in contestants.iter_mut().zip(&mut outcomes) {
            let Ok(work) = &mut contestant.work else { continue };
            if outcome.absent.is_some() {
                continue;
            }
            let (round, used) = match quiet_round(foreign, rules, work).await {
                Ok(done) => done,
                Err(error) if contestant.part == Part::Peer => {
                    progress(&format!("{row}: {} gave up: {error:#}", outcome.name));
                    outcome.absent = Some(format!("{error:#}"));
                    continue;
                }
                Err(error) => return Err(error).with_context(|| format!("{row}, {}", outcome.name)),
            };
            let told: Vec<String> = round
                .values
                .iter()
                .map(|(key, value)| format!("{key} {}", crate::report::short(*value)))
                .collect();
            let busy = used.map_or("?".into(), |used| format!("{used:.2}"));
            progress(&format!(
                "{row}: round {number}/{} {}: {} (others used {busy} cores)",
                rules.rounds,
                outcome.name,
                told.join(", ")
            ));
            outcome.rounds.push(round);
            outcome.foreign = match (outcome.foreign, used) {
                (Some(before), Some(now)) => Some(f64::max(before, now)),
                (before, now) => before.or(now),
            };
        }
    }
    Ok(outcomes)
}

/// One round while the machine is quiet, or the quietest of a few.
async fn quiet_round(foreign: &Foreign, rules: Rules, work: &mut Work<'_>) -> Result<(Round, Option<f64>)> {
    let mut best: Option<(Round, Option<f64>)> = None;
    for _ in 0..=if rules.patience == 0 { 0 } else { REPEATS } {
        wait_for_quiet(foreign, rules.patience).await;
        let mark = foreign.mark();
        let round = work().await?;
        let used = foreign.since(mark);
        let better = match (&best, used) {
            (Some((_, Some(before))), Some(now)) => now < *before,
            _ => best.is_none(),
        };
        if better {
            best = Some((round, used));
        }
        if used.is_none_or(|used| used <= QUIET) {
            break;
        }
    }
    best.context("no round was taken")
}

async fn wait_for_quiet(foreign: &Foreign, patience: u64) {
    let begun = clock::mono();
    while clock::seconds_since(begun) < patience as f64 {
        let mark = foreign.mark();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        if foreign.since(mark).is_none_or(|used| used <= QUIET) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn contestants_take_turns_and_a_peer_that_fails_is_absent() {
        let order = std::cell::RefCell::new(Vec::new());
        let say = |name: &'static str| {
            order.borrow_mut().push(name);
            Ok(Round::one("x", 1.0, 1))
        };
        let contestants = vec![
            Contestant::blocking(Part::Ours, "a", || say("a")),
            Contestant::blocking(Part::Peer, "b", || say("b")),
            Contestant::blocking(Part::Peer, "c", || anyhow::bail!("no c")),
            Contestant::absent("d", "not installed"),
        ];
        let rules = Rules { rounds: 3, patience: 0 };
        let outcomes = contest(&Foreign::unknown(), rules, "row", contestants).await.unwrap();
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b"]);
        assert_eq!(outcomes[0].spread("x").unwrap().rounds, 3);
        assert_eq!(outcomes[2].absent.as_deref(), Some("no c"));
        assert_eq!(outcomes[3].absent.as_deref(), Some("not installed"));
    }
}

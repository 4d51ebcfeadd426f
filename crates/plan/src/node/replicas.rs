//! Which replicas of a Service end and which begin: those that are missing, those that are too many, those of an older
//! template.
//!
//! A replica is one process at most: what takes its place begins when it has ended. A change of the template goes
//! through the replicas one by one, and each has to be up for a moment before the next one is touched; so a template
//! that does not come up takes one replica down, and no more.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_mutants::{Mutant, active};

use super::Now;
use super::run::StopCause;

/// How long a replica has to be up before the next one is replaced.
pub const SETTLED: Duration = Duration::from_secs(1);

/// How far the execution of a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No keeper was started for it.
    Waiting,
    /// A keeper may have been started, and nothing is known of its process.
    Starting,
    /// Its process started at this boot time, and nothing is known of its end.
    Up(Duration),
}

/// An execution of a replica that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which replica, from 0.
    pub replica: u32,
    /// Whether it has the template that is wanted now.
    pub current: bool,
    /// Whether it was asked to end.
    pub ending: bool,
    /// How far it is.
    pub progress: Progress,
}

/// What ends now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Places in what was given, each with why it ends.
    pub end: Vec<(usize, StopCause)>,
    /// The boot time at which more may end although nothing happens.
    pub look_again: Option<Duration>,
}

/// Ends what is too much, and one replica of an older template if all that should be up are. `down` of the `wanted` ones
/// are kept down by their restart policy, and nobody waits for them.
pub fn replace(wanted: u32, down: u32, held: &[Held], now: Now) -> Replacement {
    let mut decided = Replacement::default();
    for (at, one) in held.iter().enumerate().filter(|(_, one)| !one.ending) {
        if one.replica >= wanted {
            decided.end.push((at, StopCause::Removed));
        } else if !one.current && one.progress == Progress::Waiting {
            // One that has not started costs nothing.
            decided.end.push((at, StopCause::Changed));
        }
    }
    let stays = |one: &Held| one.replica < wanted && !one.ending;
    let is_up = |one: &Held| matches!(one.progress, Progress::Up(_));
    let Some(next) = held.iter().position(|one| stays(one) && !one.current && is_up(one)) else {
        return decided;
    };
    let settles = |one: &Held| match one.progress {
        Progress::Up(since) => Some(since.saturating_add(SETTLED)),
        Progress::Waiting | Progress::Starting => None,
    };
    let (settled, settling): (Vec<Duration>, Vec<Duration>) =
        held.iter().filter(|one| stays(one)).filter_map(settles).partition(|at| *at <= now.boottime);
    if u32::try_from(settled.len()).unwrap_or(u32::MAX) >= wanted.saturating_sub(down) {
        decided.end.push((next, StopCause::Changed));
    } else {
        decided.look_again = settling.into_iter().min();
    }
    decided
}

/// The replicas that nothing holds. What was asked to end holds its own until it has.
pub fn vacant(wanted: u32, held: &[Held]) -> impl Iterator<Item = u32> + use<> {
    let holds = |one: &&Held| !one.ending || !active(Mutant::EarlyReplacement);
    let taken: BTreeSet<u32> = held.iter().filter(holds).map(|one| one.replica).collect();
    (0..wanted).filter(move |replica| !taken.contains(replica))
}

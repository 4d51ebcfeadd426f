//! From a run that broke a law to the shortest script that still does.

use crate::history::Violation;
use crate::run::{Outcome, Plan, run};
use crate::scenario::Act;

/// The most runs that this takes.
const RUNS: usize = 80;

/// A script that was made shorter.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// Indices into the whole script of what is still done.
    pub kept: Vec<usize>,
    /// What came of it.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: usize,
}

struct Search<'a> {
    plan: &'a Plan,
    script: Vec<Act>,
    law: &'static str,
    runs: usize,
}

impl Search<'_> {
    /// Whether the same law is broken by these deeds alone.
    fn broken_by(&mut self, kept: &[usize]) -> Option<Outcome> {
        self.runs += 1;
        let script = kept.iter().map(|at| self.script[*at].clone()).collect();
        let outcome = run(&Plan { script: Some(script), ..self.plan.clone() });
        outcome.violation.as_ref().is_some_and(|found| found.law == self.law).then_some(outcome)
    }
}

/// Looks for the shortest prefix of the script that still breaks the same law, then leaves out single deeds.
pub fn shrink(plan: &Plan, violation: &Violation) -> Option<Shrunk> {
    let script = plan.script();
    let mut search = Search { plan, script, law: violation.law, runs: 0 };
    let all: Vec<usize> = (0..search.script.len()).collect();
    let mut best = (all.clone(), search.broken_by(&all)?);
    // The shortest prefix: as if a longer one always broke it too. Where that is not so it is a short one.
    let (mut holds, mut breaks) = (0, all.len());
    while holds < breaks && search.runs < RUNS {
        let middle = usize::midpoint(holds, breaks);
        match search.broken_by(&all[..middle]) {
            Some(outcome) => {
                breaks = middle;
                best = (all[..middle].to_vec(), outcome);
            }
            None => holds = middle + 1,
        }
    }
    // From the end: what comes last is what matters most.
    let mut chunk = best.0.len().div_ceil(2);
    while chunk > 0 && search.runs < RUNS {
        let mut end = best.0.len();
        while end > 0 && search.runs < RUNS {
            let start = end.saturating_sub(chunk);
            let kept: Vec<usize> = [&best.0[..start], &best.0[end.min(best.0.len())..]].concat();
            if let Some(outcome) = search.broken_by(&kept) {
                best = (kept, outcome);
            }
            end = start;
        }
        chunk /= 2;
    }
    Some(Shrunk { kept: best.0, outcome: best.1, runs: search.runs })
}

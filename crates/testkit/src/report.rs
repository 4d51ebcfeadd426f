//! What people are shown of a run.

use std::fmt::Write as _;

use crate::run::{Outcome, Plan, QUIET};
use crate::scenario::Act;
use crate::shrink::Shrunk;

/// Lines of the timeline that are shown of a run that broke a law.
const LINES: usize = 60;

/// The first bytes of a hash, in hex.
pub fn short(hash: &[u8; 32]) -> String {
    hash[..6].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The command that runs it again.
pub fn command(plan: &Plan, kept: Option<&[usize]>) -> String {
    let mut text = format!(
        "cargo xtask sim --seeds {} --nodes {} --minutes {}",
        plan.seed.0,
        plan.nodes,
        plan.time.as_secs() / 60
    );
    if !plan.faults {
        text.push_str(" --no-faults");
    }
    if plan.quiet != QUIET {
        let _ = write!(text, " --quiet {}", plan.quiet.as_secs() / 60);
    }
    if let Some(mutant) = plan.mutant {
        let _ = write!(text, " --mutant {mutant:?}");
    }
    if let Some(kept) = kept {
        let list: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let _ = write!(text, " --only {}", if list.is_empty() { "none".into() } else { list.join(",") });
    }
    text
}

/// A run that broke a law, with the deeds that are left of it if it was made shorter.
pub fn failure(plan: &Plan, outcome: &Outcome, shrunk: Option<&Shrunk>) -> String {
    let mut text = String::new();
    let shown = shrunk.map_or(outcome, |shrunk| &shrunk.outcome);
    if let Some(violation) = &shown.violation {
        let _ = writeln!(text, "seed {} breaks {}\n  {}", plan.seed.0, violation.law, violation.what);
    }
    if let Some(shrunk) = shrunk {
        let script: Vec<Act> = Plan { script: None, ..plan.clone() }.script();
        let _ = writeln!(
            text,
            "what it takes ({} of {} deeds, {} runs):",
            shrunk.kept.len(),
            script.len(),
            shrunk.runs
        );
        for at in &shrunk.kept {
            let act = &script[*at];
            let _ = writeln!(text, "  {at:4} at {:?}: {}", act.at, act.deed);
        }
    }
    let from = shown.timeline.len().saturating_sub(LINES);
    let _ = writeln!(text, "the end of its timeline:");
    for line in &shown.timeline[from..] {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "again: {}", command(plan, shrunk.map(|shrunk| &shrunk.kept[..])));
    text
}

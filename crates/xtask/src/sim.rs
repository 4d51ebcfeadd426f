//! Runs of the simulation: the many that CI makes, or any.

use anyhow::Result;

use crate::run;

/// Small clusters, many of them: what is rare in one run is found in another.
const SMALL: [&str; 6] = ["--seeds", "0..200", "--nodes", "8", "--hours", "2"];
/// A day of larger ones: what only comes with time, or with many.
const LARGE: [&str; 6] = ["--seeds", "1000..1003", "--nodes", "50", "--hours", "24"];

/// What CI runs.
pub(crate) fn ci() -> Result<()> {
    run(&["--every-mutant"])?;
    run(&SMALL)?;
    run(&LARGE)
}

/// Runs it with these arguments; `--help` tells which there are.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    // With the bugs of crates/mutants in reach, so that there is one build for all that is run; each is off.
    let features = ["--features", "mutants"];
    let cargo = ["run", "--locked", "--profile", "sim", "-p", "drover-testkit"];
    run::cargo(&[&cargo[..], &features, &["--"], arguments].concat())
}

//! Every chore of the project, as `cargo xtask CHORE`. `cargo xtask ci` is what CI runs, and nothing else is.
//!
//! Absent: releases and packages, until there is something to ship.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

mod clients;
mod fuzz;
mod generate;
mod needs;
mod oracles;
mod python;
mod run;
mod sim;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "cargo xtask CHORE

  ci         needs, fmt, tidy, lint, test, fuzz, sim: what CI runs
  needs      look for the tools that a build and the tests call, and install what is missing
  fmt        check formatting (`cargo fmt` writes it)
  lint       clippy on everything, warnings are errors
  test       every test
  fuzz       every target of fuzz/, from what is kept  [--seconds N: each, default 5]  [TARGET]...
  sim        runs of the whole cluster in virtual time: 200 small seeds and 3 large ones  [ARGUMENTS: these instead]
  tidy       the rules of the house: arrows between crates, room sizes, module heads
  generate   write schemas/ anew  [--check: fail when that would change it]";

/// How long each target is fuzzed where nothing else is said.
const FUZZ_SECONDS: u32 = 5;

fn main() -> ExitCode {
    match chore() {
        Ok(()) => ExitCode::SUCCESS,
        // Without the backtrace that an error of `main` would bring: what failed has been said above it.
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    std::env::set_current_dir(run::workspace_root())?;
    match words.as_slice() {
        ["ci"] => {
            needs::ensure()?;
            fmt()?;
            tidy::check()?;
            lint()?;
            // What a test needs and does not find, it skips elsewhere.
            test(&[("CI", "1")])?;
            fuzz::run(FUZZ_SECONDS, fuzz::Inputs::Same, &[])?;
            sim::ci()
        }
        ["needs"] => needs::ensure(),
        ["fmt"] => fmt(),
        ["lint"] => lint(),
        ["test"] => test(&[]),
        ["fuzz", "--seconds", seconds, only @ ..] => {
            let seconds = seconds.parse().with_context(|| format!("--seconds {seconds:?}"))?;
            fuzz::run(seconds, fuzz::Inputs::New, only)
        }
        ["fuzz", only @ ..] => fuzz::run(FUZZ_SECONDS, fuzz::Inputs::New, only),
        ["sim"] => sim::ci(),
        ["sim", arguments @ ..] => sim::run(arguments),
        ["tidy"] => tidy::check(),
        ["generate"] => generate::schemas(generate::Mode::Write),
        ["generate", "--check"] => generate::schemas(generate::Mode::Check),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown chore {:?}\n\n{USAGE}", words.join(" ")),
    }
}

fn fmt() -> Result<()> {
    run::cargo(&["fmt", "--all", "--check"])
}

fn lint() -> Result<()> {
    run::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn test(env: &[(&str, &str)]) -> Result<()> {
    // The README says `cargo run -- dev`: cargo has to know by itself which program is meant.
    run::cargo(&["run", "--locked", "--", "version"])?;
    run::tests(&["test", "--workspace", "--locked", "--no-fail-fast"], env)
}

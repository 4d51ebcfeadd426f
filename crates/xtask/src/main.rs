//! Every chore of the project, as `cargo xtask CHORE`. `cargo xtask ci` is what CI runs, and nothing else is.
//!
//! Absent: releases and packages, until there is something to ship.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

mod generate;
mod needs;
mod run;
mod sim;
mod tidy;

use anyhow::{Result, bail};

const USAGE: &str = "cargo xtask CHORE

  ci         needs, fmt, tidy, lint, test, sim: what CI runs
  needs      look for the tools that a build and the tests call, and install what is missing
  fmt        check formatting (`cargo fmt` writes it)
  lint       clippy on everything, warnings are errors
  test       every test
  sim        runs of the whole cluster in virtual time: 200 small seeds and 3 large ones  [ARGUMENTS: these instead]
  tidy       the rules of the house: arrows between crates, room sizes, module heads
  generate   write schemas/ anew  [--check: fail when that would change it]";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    std::env::set_current_dir(run::workspace_root())?;
    match words.as_slice() {
        ["ci"] => {
            needs::ensure()?;
            fmt()?;
            tidy::check()?;
            lint()?;
            test()?;
            sim::ci()
        }
        ["needs"] => needs::ensure(),
        ["fmt"] => fmt(),
        ["lint"] => lint(),
        ["test"] => test(),
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

fn test() -> Result<()> {
    // The README says `cargo run -- dev`: cargo has to know by itself which program is meant.
    run::cargo(&["run", "--locked", "--", "version"])?;
    run::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
}

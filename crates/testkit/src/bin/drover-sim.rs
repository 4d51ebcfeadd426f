//! Runs seeds, several at once, and says what came of them. Ends with 1 if a law was broken.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use drover_testkit::report;
use drover_testkit::run::{Outcome, Plan, run};
use drover_testkit::seed::Seed;
use drover_testkit::shrink::shrink;
use drover_world::{Clock, SystemClock};

/// Runs a whole cluster in virtual time, once for each seed.
#[derive(Debug, Parser)]
struct Options {
    /// Which seeds: one, or `FROM..TO`.
    #[arg(long, default_value = "0..20", value_parser = seeds)]
    seeds: Range<u64>,
    /// How many nodes.
    #[arg(long, default_value_t = 8)]
    nodes: usize,
    /// For how many virtual hours.
    #[arg(long, conflicts_with = "minutes")]
    hours: Option<u64>,
    /// For how many virtual minutes.
    #[arg(long, default_value_t = 120)]
    minutes: u64,
    /// Nothing breaks.
    #[arg(long)]
    no_faults: bool,
    /// How many seeds at once; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Of the script, only these deeds, by number: `3,17`, or `none`.
    #[arg(long, value_parser = only)]
    only: Option<Only>,
    /// For how many virtual minutes nothing happens at the end.
    #[arg(long)]
    quiet: Option<u64>,
    /// A bug that is put into the product, by its name in crates/mutants.
    #[cfg(feature = "mutants")]
    #[arg(long, value_parser = mutant)]
    mutant: Option<drover_mutants::Mutant>,
    /// Put every bug of crates/mutants into the product, one after the other, and see that each is found.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    every_mutant: bool,
    /// Print the whole timeline.
    #[arg(long)]
    timeline: bool,
    /// Print what is done, with numbers, and run nothing.
    #[arg(long)]
    script: bool,
    /// Run each seed twice and compare.
    #[arg(long)]
    twice: bool,
    /// Do not look for a shorter script when a law is broken.
    #[arg(long)]
    no_shrink: bool,
}

#[derive(Clone, Debug)]
struct Only(BTreeSet<usize>);

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => number(text).map(|seed| seed..seed + 1),
    }
}

fn only(text: &str) -> Result<Only, String> {
    if text == "none" {
        return Ok(Only(BTreeSet::new()));
    }
    let numbers = text.split(',').map(|part| part.parse().map_err(|error| format!("{part:?}: {error}")));
    numbers.collect::<Result<_, _>>().map(Only)
}

#[cfg(feature = "mutants")]
fn mutant(text: &str) -> Result<drover_mutants::Mutant, String> {
    let all = drover_mutants::Mutant::ALL;
    all.iter().copied().find(|mutant| format!("{mutant:?}") == text).ok_or_else(|| format!("{all:?}"))
}

impl Options {
    fn plan(&self, seed: u64) -> Plan {
        let minutes = self.hours.map_or(self.minutes, |hours| hours * 60);
        let mut plan = Plan::new(Seed(seed), self.nodes, Duration::from_secs(minutes * 60));
        plan.faults = !self.no_faults;
        if let Some(quiet) = self.quiet {
            plan.quiet = Duration::from_secs(quiet * 60);
        }
        #[cfg(feature = "mutants")]
        {
            plan.mutant = self.mutant;
        }
        if self.timeline {
            plan.keep = usize::MAX;
        }
        if let Some(Only(kept)) = &self.only {
            let acts = plan.script().into_iter().enumerate();
            plan.script = Some(acts.filter(|(at, _)| kept.contains(at)).map(|(_, act)| act).collect());
        }
        plan
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.script {
        for seed in options.seeds.clone() {
            for (number, act) in options.plan(seed).script().iter().enumerate() {
                println!("{number:4} {:?} {}", act.at, act.deed);
            }
        }
        return ExitCode::SUCCESS;
    }
    #[cfg(feature = "mutants")]
    if options.every_mutant {
        return every_mutant(&options);
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or(processors).max(1);
    let next = AtomicU64::new(options.seeds.start);
    let (steps, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = AtomicBool::new(false);
    let output = Mutex::new(());
    let began = SystemClock.boottime();
    let said = Mutex::new(began);
    let total = options.seeds.end.saturating_sub(options.seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.seeds.end {
                        return;
                    }
                    let (outcome, trouble) = one(&options, seed);
                    steps.fetch_add(outcome.steps, Ordering::Relaxed);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    let _only_one = output.lock();
                    if options.timeline {
                        outcome.timeline.iter().for_each(|line| println!("{line}"));
                    }
                    if total <= 4 || options.timeline {
                        println!("seed {seed}: {} steps, {}", outcome.steps, report::short(&outcome.hash));
                    }
                    if let Some(trouble) = trouble {
                        failed.store(true, Ordering::Relaxed);
                        println!("{trouble}");
                    }
                    let now = SystemClock.boottime();
                    if let Ok(mut said) = said.lock()
                        && now - *said > Duration::from_secs(10)
                    {
                        *said = now;
                        println!("{done} of {total} seeds in {:.0} s", (now - began).as_secs_f64());
                    }
                }
            });
        }
    });
    let time = (SystemClock.boottime() - began).as_secs_f64();
    let (steps, done) = (steps.into_inner() as f64, done.into_inner() as f64);
    println!(
        "{done} seeds of {} nodes in {time:.1} s: {:.2} seeds/s, {:.0} events/s, {threads} at once",
        options.nodes,
        done / time,
        steps / time
    );
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Looks for each bug, several at once.
#[cfg(feature = "mutants")]
fn every_mutant(options: &Options) -> ExitCode {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted =
        |hunt: &drover_testkit::bugs::Hunt| options.mutant.is_none_or(|mutant| mutant == hunt.mutant);
    let hunts: Vec<_> = drover_testkit::bugs::hunts().into_iter().filter(wanted).collect();
    let (next, survivors) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = SystemClock.boottime();
    std::thread::scope(|scope| {
        for _ in 0..options.threads.unwrap_or(processors).max(1) {
            scope.spawn(|| {
                let mine = || usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok();
                while let Some(hunt) = mine().and_then(|at| hunts.get(at)) {
                    let mutant = hunt.mutant;
                    match hunt.catch() {
                        Ok(found) => {
                            let (law, step) = (found.violation.law, found.violation.step);
                            println!("{mutant:?}: seed {}, step {step}: {law}", found.seed);
                        }
                        Err(why) => {
                            survivors.fetch_add(1, Ordering::Relaxed);
                            println!("{mutant:?} IS NOT FOUND as it should be: {why}");
                        }
                    }
                }
            });
        }
    });
    let (time, survivors) = ((SystemClock.boottime() - began).as_secs_f64(), survivors.into_inner());
    println!("{} bugs in {time:.1} s, {survivors} not found as they should be", hunts.len());
    if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed, and what is wrong with it.
fn one(options: &Options, seed: u64) -> (Outcome, Option<String>) {
    let plan = options.plan(seed);
    let outcome = run(&plan);
    if options.twice && outcome.violation.is_none() {
        let again = run(&plan);
        if again != outcome {
            let at = outcome.timeline.iter().zip(&again.timeline).find(|(one, other)| one != other);
            let what =
                format!("seed {seed} has two histories:\n{at:#?}\nagain: {}", report::command(&plan, None));
            return (outcome, Some(what));
        }
    }
    let Some(violation) = &outcome.violation else { return (outcome, None) };
    let shrunk = if options.no_shrink || options.only.is_some() { None } else { shrink(&plan, violation) };
    let trouble = report::failure(&plan, &outcome, shrunk.as_ref());
    (outcome, Some(trouble))
}

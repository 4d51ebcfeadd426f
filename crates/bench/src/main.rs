//! One command that measures drover as it is shipped, beside what the machine allows and beside its peers, prints a
//! table and writes it as JSON. `docs/benchmarks.md` says how to read it.
//!
//! Nothing here is a test: no figure fails a build. Absent: rows of what is not built yet (P9, P10, P11).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to who called it")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

mod args;
mod beacon;
mod bench;
mod clock;
mod contest;
mod floor;
mod foreign;
mod load;
mod peer;
mod processes;
mod product;
mod report;
mod row;
mod spinner;
mod stats;
mod wait;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use args::{Args, Part};
use bench::Bench;
use contest::Rules;
use report::conditions::Conditions;
use report::progress;

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(Part::Fanout { dir }) = &args.part {
        floor::fanout::serve(dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let known: Vec<&str> = row::ALL.iter().map(|(id, _)| *id).collect();
    if let Some(unknown) = args.rows.iter().find(|wanted| !known.contains(&wanted.as_str())) {
        bail!("there is no row {unknown:?}; there are {}", known.join(", "));
    }
    // A load generator is one thread, so that it takes no more of the machine than a core.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&args))
}

async fn measure(args: &Args) -> Result<ExitCode> {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum })?;
    std::fs::create_dir_all(&args.dir).with_context(|| format!("{}", args.dir.display()))?;
    let dir = args.dir.canonicalize()?;
    let drover = product::build::binary(args.drover.as_deref())?;
    let beacon = beacon::build(&dir)?;
    let peers = if args.peers { peer::Peers::install(&dir) } else { peer::Peers::none() };
    let mut conditions = Conditions::here(&dir);
    conditions.rounds = if args.quick { 1 } else { args.rounds };
    conditions.quick = args.quick;
    conditions.peers.clone_from(&peers.versions);
    processes::adopt_orphans();
    let bench = Bench {
        rules: Rules { rounds: conditions.rounds, patience: if args.quick { 0 } else { args.patience } },
        foreign: foreign::Foreign::begin(),
        dir,
        drover,
        beacon,
        peers,
        quick: args.quick,
        full: args.full,
    };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (id, take) in row::ALL {
        if !args.rows.is_empty() && !args.rows.iter().any(|wanted| wanted == id) {
            continue;
        }
        match take(&bench).await {
            Ok(taken) => rows.extend(taken),
            Err(error) => {
                progress(&format!("{id} FAILED: {error:#}"));
                failed.push(format!("{id}: {error:#}"));
            }
        }
        processes::sweep();
    }
    println!("{}\n{}", conditions.text(), report::print(&rows));
    if let Some(path) = &args.json {
        report::write_json(path, &conditions, &rows)?;
    }
    for line in &failed {
        println!("NOT MEASURED {line}");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

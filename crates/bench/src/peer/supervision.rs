//! What supervisors have in common: they are told of processes, start one on demand, and restart what is killed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::LocalBoxFuture;

use crate::beacon::Beacons;
use crate::bench::Bench;
use crate::clock;
use crate::processes::{Running, descendants, pss, rss, sweep};
use crate::row::kills::{PROCESSES, kill_each};
use crate::stats::Round;

/// A process to be supervised.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    /// Kept running; else started once, when it is asked for.
    pub(crate) kept: bool,
}

/// A supervisor, in its own words. What it leaves behind is swept away after its round.
pub(crate) trait Supervisor {
    /// Starts it with these processes.
    fn start(&self, dir: &Path, processes: &[Process]) -> Result<Running>;
    /// The command that lets one that is not kept run once.
    fn once(&self, dir: &Path, process: &Process) -> Result<Command>;
}

/// A folder per process with a `run` in it, as runit and s6 have it.
pub(crate) fn service_folders(dir: &Path, processes: &[Process]) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    for process in processes {
        let folder = dir.join(&process.name);
        std::fs::create_dir_all(&folder)?;
        let run = folder.join("run");
        std::fs::write(&run, format!("#!/bin/sh\nexec {}\n", process.command.join(" ")))?;
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755))?;
        if !process.kept {
            std::fs::write(folder.join("down"), "")?;
        }
    }
    Ok(())
}

fn beacon(bench: &Bench, beacons: &Beacons, name: &str, kept: bool) -> Process {
    let command = crate::product::objects::beacon(&bench.beacon, &beacons.socket, name, kept);
    Process { name: name.to_owned(), command: command.into_iter().map(str::to_owned).collect(), kept }
}

type Measured<'a> = LocalBoxFuture<'a, Result<Round>>;

/// From the start of its own command to the first instruction.
pub(crate) fn starts<'a>(bench: &'a Bench, supervisor: &'a dyn Supervisor, samples: usize) -> Measured<'a> {
    Box::pin(async move {
        let folder = bench.folder()?;
        let mut beacons = Beacons::listen(folder.path(), "p")?;
        let processes: Vec<Process> =
            (0..samples + 1).map(|number| beacon(bench, &beacons, &format!("o{number}"), false)).collect();
        let _running = supervisor.start(&folder.path().join("s"), &processes)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut latencies = Vec::new();
        for process in &processes {
            let mut command = supervisor.once(&folder.path().join("s"), process)?;
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let begun = clock::mono();
            let output = command.output()?;
            // supervisord's command calls it a failure when what it started has ended before it looked: what tells is
            // whether it ran.
            let seen = beacons
                .tagged(&process.name)
                .await
                .with_context(|| format!("its command said: {}", String::from_utf8_lossy(&output.stderr)))?;
            latencies.push(seen.mono.saturating_sub(begun));
        }
        drop(_running);
        sweep();
        // The first one warms it up.
        Ok(Round::latencies("cli ", latencies.split_off(1)))
    })
}

/// From a kill to the next first instruction.
pub(crate) fn kills<'a>(bench: &'a Bench, supervisor: &'a dyn Supervisor) -> Measured<'a> {
    Box::pin(async move {
        let folder = bench.folder()?;
        let mut beacons = Beacons::listen(folder.path(), "p")?;
        let count = bench.samples(PROCESSES);
        let processes: Vec<Process> =
            (0..count).map(|number| beacon(bench, &beacons, &format!("s{number}"), true)).collect();
        let running = supervisor.start(&folder.path().join("s"), &processes)?;
        let latencies = kill_each(&mut beacons, count).await;
        drop(running);
        sweep();
        Ok(Round::latencies("", latencies?))
    })
}

/// Idle, and what each supervised process adds.
pub(crate) fn memory<'a>(bench: &'a Bench, supervisor: &'a dyn Supervisor, count: usize) -> Measured<'a> {
    Box::pin(async move {
        let (idle, idle_pss) = taken(bench, supervisor, 0).await?;
        let (_, loaded) = taken(bench, supervisor, count).await?;
        Ok(crate::row::memory_agent::round(idle, idle_pss, loaded.saturating_sub(idle_pss), count))
    })
}

/// RSS and PSS of all its processes, those that it supervises not counted.
async fn taken(bench: &Bench, supervisor: &dyn Supervisor, count: usize) -> Result<(u64, u64)> {
    let folder = bench.folder()?;
    let mut beacons = Beacons::listen(folder.path(), "p")?;
    let before = descendants(i32::try_from(std::process::id())?);
    let processes: Vec<Process> =
        (0..count).map(|number| beacon(bench, &beacons, &format!("s{number}"), true)).collect();
    let running = supervisor.start(&folder.path().join("s"), &processes)?;
    let mut supervised = Vec::new();
    while supervised.len() < count {
        supervised.push(beacons.next().await.context("it starts too few")?.pid);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut resident, mut proportional) = (0, 0);
    for pid in descendants(i32::try_from(std::process::id())?) {
        if !supervised.contains(&pid) && !before.contains(&pid) {
            // One may have ended by now.
            resident += rss(pid).unwrap_or(0);
            proportional += pss(pid).unwrap_or(0);
        }
    }
    drop(running);
    sweep();
    Ok((resident, proportional))
}

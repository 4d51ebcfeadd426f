//! P4: a process is killed, and runs again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::beacon::{Beacons, Sighting};
use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::floor;
use crate::peer::supervision;
use crate::processes::signal;
use crate::product::agent::Agent;
use crate::product::objects::{SERVICES, beacon, create_all, service};
use crate::report::{Goal, Row, Unit};
use crate::spinner::Spinner;
use crate::stats::Round;

/// Each process is killed once: what every supervisor does on a second failure is another matter.
pub(crate) const PROCESSES: usize = 30;
/// Some supervisors hold back what ran for less than a second.
pub(crate) const UP: Duration = Duration::from_millis(1500);

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let mut contestants = vec![
        Contestant::new(Part::Ours, "drover, a Service's replica", move || ours(bench)),
        Contestant::new(Part::Ours, "the same, a core kept busy meanwhile", move || async move {
            let _spinning = Spinner::start();
            ours(bench).await
        }),
        Contestant::new(Part::Floor, "wait, then posix_spawn", move || async move {
            let folder = bench.folder()?;
            floor::spawn::supervise(&bench.beacon, folder.path(), PROCESSES).await
        }),
    ];
    contestants.extend(bench.peers.supervisors(move |peer| supervision::kills(bench, peer)));
    let outcomes = bench.contest("P4", contestants).await?;
    let row = |key, what, goal: Option<f64>| {
        let row = Row::of("P4", what, Unit::Millis, (&outcomes, key))
            .class("claimed on disk before it runs; peers record nothing");
        goal.into_iter().fold(row, |row, goal| row.goal(Goal::AtMost(goal)))
    };
    Ok(vec![
        row("p50", "kill -9 to the next first instruction, p50", Some(2.5)),
        row("p99", "the same, p99", None),
        row("max", "the same, max", Some(5.0)),
    ])
}

async fn ours(bench: &Bench) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    let mut beacons = Beacons::listen(folder.path(), "b")?;
    let count = bench.samples(PROCESSES);
    let services: Vec<_> = (0..count)
        .map(|number| {
            let name = format!("s{number}");
            service(&name, &beacon(&bench.beacon, &beacons.socket, &name, true))
        })
        .collect();
    create_all(&server.api, SERVICES, services.into_iter(), 1).await?;
    let latencies = kill_each(&mut beacons, count).await?;
    agent.stop(&server).await?;
    server.stop()?;
    crate::processes::sweep();
    Ok(Round::latencies("", latencies))
}

/// Waits until so many processes run, then kills each once and waits for its next.
pub(crate) async fn kill_each(beacons: &mut Beacons, count: usize) -> Result<Vec<u64>> {
    let mut up: BTreeMap<String, Sighting> = BTreeMap::new();
    while up.len() < count {
        let seen = beacons.next().await?;
        up.insert(seen.tag.clone(), seen);
    }
    tokio::time::sleep(UP).await;
    beacons.drain();
    let mut latencies = Vec::new();
    for (tag, seen) in up {
        let killed = clock::mono();
        signal(seen.pid, Signal::KILL);
        let next = beacons.tagged(&tag).await.with_context(|| format!("{tag} was killed"))?;
        latencies.push(next.mono.saturating_sub(killed));
        // What follows a restart is over before the next kill.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(latencies)
}

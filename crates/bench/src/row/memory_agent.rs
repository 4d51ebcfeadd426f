//! P7: what an agent takes that has nothing to do, and what each process that it supervises adds.

use std::time::Duration;

use anyhow::Result;

use crate::beacon::Beacons;
use crate::bench::Bench;
use crate::contest::{Contestant, Part};
use crate::peer::supervision;
use crate::processes::{descendants, pss, rss, sweep};
use crate::product::agent::Agent;
use crate::product::objects::{SERVICES, beacon, create_all, service};
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;

const PROCESSES: usize = 100;
const MIB: f64 = (1 << 20) as f64;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let mut contestants =
        vec![Contestant::new(Part::Ours, "drover agent, and a keeper each", move || ours(bench))];
    contestants.extend(
        bench.peers.supervisors(move |peer| supervision::memory(bench, peer, bench.samples(PROCESSES))),
    );
    let outcomes = bench.contest("P7", contestants).await?;
    Ok(vec![
        Row::of("P7", "the supervisor, idle: RSS", Unit::Mebibytes, (&outcomes, "idle"))
            .class("ours holds a TLS session")
            .goal(Goal::AtMost(8.0)),
        Row::of("P7", "the supervisor, idle: PSS", Unit::Mebibytes, (&outcomes, "idle pss")),
        Row::of("P7", "each of 100 supervised processes adds, PSS", Unit::Mebibytes, (&outcomes, "each"))
            .class("the process itself is not counted")
            .goal(Goal::AtMost(0.15)),
    ])
}

async fn ours(bench: &Bench) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (idle, idle_pss) = (rss(agent.pid())?, pss(agent.pid())?);
    let mut beacons = Beacons::listen(folder.path(), "b")?;
    let count = bench.samples(PROCESSES);
    let services: Vec<_> = (0..count)
        .map(|number| {
            let name = format!("s{number}");
            service(&name, &beacon(&bench.beacon, &beacons.socket, &name, true))
        })
        .collect();
    create_all(&server.api, SERVICES, services.into_iter(), 4).await?;
    let mut pids = Vec::new();
    while pids.len() < count {
        pids.push(beacons.next().await?.pid);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let keepers: Vec<i32> = below(agent.pid()).into_iter().filter(|pid| !pids.contains(pid)).collect();
    let mut all = pss(agent.pid())?.saturating_sub(idle_pss);
    for keeper in &keepers {
        all += pss(*keeper)?;
    }
    anyhow::ensure!(keepers.len() >= count, "{} keepers of {count} processes", keepers.len());
    agent.stop(&server).await?;
    server.stop()?;
    sweep();
    Ok(round(idle, idle_pss, all, count))
}

/// What came into the world with a process, wherever it was put: keepers leave their agent.
fn below(pid: i32) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    descendants(own).into_iter().filter(|found| *found != pid && is_keeper(*found)).collect()
}

fn is_keeper(pid: i32) -> bool {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    path.to_string_lossy().contains("keeper")
}

pub(crate) fn round(idle: u64, idle_pss: u64, all: u64, count: usize) -> Round {
    let mut round = Round::one("idle", idle as f64 / MIB, count as u64);
    round.set("idle pss", idle_pss as f64 / MIB);
    round.set("each", all as f64 / MIB / count as f64);
    round
}

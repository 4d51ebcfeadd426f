//! P8: what a server takes that has nothing to do, what a thousand objects add, and what each idle agent adds.

use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::contest::{Contestant, Part};
use crate::load::agents::Fleet;
use crate::peer::message_bus;
use crate::processes::{anonymous, rss};
use crate::product::objects::{CONFIG_MAPS, config_map, create_all};
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;

const OBJECTS: usize = 20_000;
const AGENTS: usize = 1000;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let mut contestants = vec![
        Contestant::new(Part::Ours, "drover server", move || ours(bench)),
        bench.peers.etcd(move |etcd| async move { etcd.memory(bench, bench.samples(OBJECTS)).await }),
    ];
    contestants.extend(bench.peers.buses(move |bus| message_bus::memory(bench, bus, bench.samples(AGENTS))));
    let outcomes = bench.contest("P8", contestants).await?;
    Ok(vec![
        Row::of("P8", "the server, idle and empty: RSS", Unit::Mebibytes, (&outcomes, "idle"))
            .goal(Goal::AtMost(25.0)),
        Row::of(
            "P8",
            "1,000 objects of 1 KiB add, anonymous memory",
            Unit::Mebibytes,
            (&outcomes, "objects"),
        )
        .goal(Goal::AtMost(2.5)),
        Row::of(
            "P8",
            "each connected idle agent adds, anonymous memory",
            Unit::Kibibytes,
            (&outcomes, "agent"),
        )
        .class("TLS for us, a plain idle connection for peers")
        .goal(Goal::AtMost(25.0)),
    ])
}

async fn ours(bench: &Bench) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (idle, before) = (rss(server.pid())?, anonymous(server.pid())?);
    let count = bench.samples(OBJECTS);
    let maps = (0..count).map(|number| config_map(&format!("c{number}"), ""));
    create_all(&server.api, CONFIG_MAPS, maps, 8).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let loaded = anonymous(server.pid())?;
    server.stop()?;
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let empty = anonymous(server.pid())?;
    let agents = bench.samples(AGENTS);
    let fleet = Fleet::open(&server.api, agents).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let connected = anonymous(server.pid())?;
    drop(fleet);
    server.stop()?;
    let mut round = Round::one("idle", idle as f64 / f64::from(1 << 20), 1);
    round.set("objects", loaded.saturating_sub(before) as f64 / f64::from(1 << 20) / (count as f64 / 1000.0));
    round.set("agent", connected.saturating_sub(empty) as f64 / 1024.0 / agents as f64);
    Ok(round)
}

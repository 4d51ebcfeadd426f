//! P2: from an acknowledged apply to the process's first instruction, on an agent that is connected over TLS.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::beacon::Beacons;
use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::floor;
use crate::peer::supervision;
use crate::product::agent::Agent;
use crate::product::objects::{TASKS, beacon, task};
use crate::product::server::Server;
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;
use crate::{spinner, wait};

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let samples = bench.samples(100);
    let mut contestants = vec![
        Contestant::new(Part::Ours, "drover: apiserver, reconciler, agent, keeper", move || {
            starts(bench, samples)
        }),
        Contestant::new(Part::Ours, "the same, a core kept busy meanwhile", move || async move {
            let _spinning = spinner::Spinner::start();
            starts(bench, samples).await
        }),
        Contestant::new(Part::Floor, "posix_spawn by a thread that slept", move || async move {
            let folder = bench.folder()?;
            let mut latencies = Vec::new();
            for _ in 0..bench.samples(20) {
                let round = floor::spawn::at_one_instant(&bench.beacon, folder.path(), 1).await?;
                latencies.push((round.values["p50"] * 1e6) as u64);
            }
            let mut round = Round::latencies("api ", latencies.clone());
            round.add_latencies("cli ", latencies);
            Ok(round)
        }),
    ];
    contestants
        .extend(bench.peers.supervisors(move |peer| supervision::starts(bench, peer, bench.samples(20))));
    let outcomes = bench.contest("P2", contestants).await?;
    let row = |key, what, goal: Option<f64>| {
        let row = Row::of("P2", what, Unit::Millis, (&outcomes, key))
            .class("synced, TLS; peers local, not recorded");
        goal.into_iter().fold(row, |row, goal| row.goal(Goal::AtMost(goal)))
    };
    Ok(vec![
        row("api p50", "acknowledged write to first instruction, p50", Some(5.0)),
        row("api p99", "the same, p99", Some(20.0)),
        row("api max", "the same, max", None),
        row("cli p50", "the command's start to first instruction, p50", Some(8.0)),
        row("cli p99", "the same, p99", None),
        row("cli exit p50", "the command's start to its end, p50", None),
    ])
}

async fn starts(bench: &Bench, samples: usize) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    let mut beacons = Beacons::listen(folder.path(), "b")?;
    let (mut by_api, mut by_cli, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    let mut connection = server.api.connect().await?;
    // The first start copies the keeper into place; nobody waits for that twice.
    for number in 0..samples + 2 {
        let name = format!("a{number}");
        let object = task(&name, &beacon(&bench.beacon, &beacons.socket, &name, false));
        let body = Bytes::from(object.to_string());
        connection.call(Method::POST, TASKS, body).await?;
        let acknowledged = clock::mono();
        let seen = beacons.tagged(&name).await?;
        if number >= 2 {
            by_api.push(seen.mono.saturating_sub(acknowledged));
        }
        settle(&server, &name).await?;
    }
    for number in 0..samples {
        let name = format!("c{number}");
        let file = folder.path().join("task.yaml");
        std::fs::write(
            &file,
            task(&name, &beacon(&bench.beacon, &beacons.socket, &name, false)).to_string(),
        )?;
        let (exit, begun) = apply(bench, &server, &file)?;
        let seen = beacons.tagged(&name).await?;
        by_cli.push(seen.mono.saturating_sub(begun));
        exits.push(exit.saturating_sub(begun));
        settle(&server, &name).await?;
    }
    agent.stop(&server).await?;
    server.stop()?;
    let mut round = Round::latencies("api ", by_api);
    round.add_latencies("cli ", by_cli);
    round.add_latencies("cli exit ", exits);
    Ok(round)
}

/// When the command ended, and when it was started.
fn apply(bench: &Bench, server: &Server, file: &Path) -> Result<(u64, u64)> {
    let begun = clock::mono();
    super::apply::apply(bench, server, file)?;
    Ok((clock::mono(), begun))
}

/// Waits until all that a Task causes is over, so that the next one finds an idle system.
async fn settle(server: &Server, name: &str) -> Result<()> {
    let path = format!("{TASKS}/{name}");
    wait::until("a Task to be complete", || async {
        let task: Value = server.api.client.get(&path).await?;
        Ok(task.pointer("/status/succeeded").and_then(Value::as_u64) == Some(1))
    })
    .await
}

//! P5: how many runs of `/bin/true` one agent gets done a second, each with output and exit code on disk.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use drover_client::WatchOptions;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::floor;
use crate::product::agent::Agent;
use crate::product::objects::{ASSIGNMENTS, RUNS, TASKS, create_all, task};
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;
use crate::wait;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let (count, seconds) = (bench.samples(1000), bench.lasting(2.0).as_secs_f64());
    let outcomes = bench
        .contest(
            "P5",
            vec![
                Contestant::new(Part::Ours, "drover, Tasks waiting for an agent that starts", move || {
                    ours(bench, count)
                }),
                Contestant::blocking(Part::Floor, "posix_spawn and wait, one thread", move || {
                    let mut round = floor::spawn::true_rate(1, seconds)?;
                    round.set("stored", round.values["rate"]);
                    Ok(round)
                }),
                Contestant::blocking(Part::Floor, "the same, two threads", move || {
                    floor::spawn::true_rate(2, seconds)
                }),
            ],
        )
        .await?;
    let class = "claim, start, output and exit code each on disk";
    Ok(vec![
        Row::of(
            "P5",
            "runs of /bin/true on one agent: first start to last exit",
            Unit::PerSecond,
            (&outcomes, "rate"),
        )
        .class(class)
        .goal(Goal::TimesFloor(0.5)),
        Row::of("P5", "the same, until all Runs are at the server", Unit::PerSecond, (&outcomes, "stored"))
            .class("synced by the server, too; TLS"),
    ])
}

async fn ours(bench: &Bench, count: usize) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    agent.stop(&server).await?;
    let tasks = (0..count).map(|number| {
        let mut task = task(&format!("t{number}"), &["/bin/true"]);
        task["spec"]["placement"] = json!({"nodeName": "node"});
        task
    });
    create_all(&server.api, TASKS, tasks, 4).await?;
    wait::until("every Task's Assignment", || async { Ok(server.count(ASSIGNMENTS).await? >= count as u64) })
        .await?;
    let mut watch = server.api.client.watch(RUNS, &WatchOptions::default()).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    let mut runs = BTreeMap::new();
    while runs.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(120), watch.next()).await;
        let event = next.context("no Run changed for two minutes")??.context("the watch ended")?;
        let run: Value = event.object()?;
        if run.pointer("/status/finishedAt").is_some() {
            runs.insert(run["metadata"]["name"].to_string(), run);
        }
    }
    let stored = clock::real();
    let time = |run: &Value, field: &str| -> Option<Timestamp> {
        run.pointer(&format!("/status/{field}"))?.as_str()?.parse().ok()
    };
    let failed = runs.values().filter(|run| run.pointer("/status/exitCode") != Some(&json!(0))).count();
    anyhow::ensure!(failed == 0, "{failed} runs did not end with exit code 0");
    let first = runs.values().filter_map(|run| time(run, "startedAt")).min().context("no run has a start")?;
    let last = runs.values().filter_map(|run| time(run, "finishedAt")).max().context("no run has an end")?;
    let mut round = Round::one("rate", count as f64 / last.duration_since(first).as_secs_f64(), count as u64);
    let stored = stored as f64 / 1e9 - first.as_nanosecond() as f64 / 1e9;
    round.set("stored", count as f64 / stored);
    agent.stop(&server).await?;
    server.stop()?;
    crate::processes::sweep();
    Ok(round)
}

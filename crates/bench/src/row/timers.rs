//! P6: how late timers are, and what ten thousand of them cost while they wait.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::beacon::{Beacons, Sighting};
use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::floor;
use crate::processes::{anonymous, cpu_seconds, sweep};
use crate::product::agent::Agent;
use crate::product::objects::{ASSIGNMENTS, TIMERS, beacon, create_all, timer};
use crate::product::server::Server;
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;
use crate::wait;

const ARMED: usize = 10_000;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let class = "claimed on disk before it runs; the floor records nothing";
    let ticks = bench.lasting(20.0);
    let outcomes = bench
        .contest(
            "P6, one timer",
            vec![
                Contestant::new(Part::Ours, "drover, every: 1s", move || every_second(bench, 1, ticks)),
                Contestant::new(Part::Floor, "a thread that sleeps, then posix_spawn", move || async move {
                    let folder = bench.folder()?;
                    let mut latencies = Vec::new();
                    for _ in 0..bench.samples(20) {
                        let round = floor::spawn::at_one_instant(&bench.beacon, folder.path(), 1).await?;
                        latencies.push((round.values["p50"] * 1e6) as u64);
                    }
                    Ok(Round::latencies("", latencies))
                }),
            ],
        )
        .await?;
    let late =
        |outcomes: &[_], key, what: &str| Row::of("P6", what, Unit::Millis, (outcomes, key)).class(class);
    rows.push(late(&outcomes, "p50", "one timer: lateness of the first instruction, p50"));
    rows.push(late(&outcomes, "p99", "the same, p99").goal(Goal::AtMost(5.0)));
    let outcomes = bench
        .contest(
            "P6, 100 at one instant",
            vec![
                Contestant::new(Part::Ours, "drover, 100 Timers at one instant", move || at_once(bench, 100)),
                Contestant::new(Part::Floor, "a thread that sleeps, then posix_spawn", move || async move {
                    floor::spawn::at_one_instant(&bench.beacon, bench.folder()?.path(), 100).await
                }),
            ],
        )
        .await?;
    rows.push(late(&outcomes, "p50", "100 timers at one instant, p50"));
    rows.push(late(&outcomes, "max", "100 timers at one instant, the last").goal(Goal::AtMost(80.0)));
    let ticks = bench.lasting(10.0);
    let seconds = ticks.as_secs_f64();
    let outcomes = bench
        .contest(
            "P6, 1,000 one-second timers",
            vec![
                Contestant::new(Part::Ours, "drover, 1,000 Timers every: 1s, splay: 1s", move || {
                    every_second(bench, 1000, ticks)
                }),
                Contestant::blocking(Part::Floor, "posix_spawn and wait, two threads", move || {
                    floor::spawn::true_rate(2, (seconds / 4.0).max(0.5))
                }),
            ],
        )
        .await?;
    rows.push(late(&outcomes, "p50", "1,000 one-second timers, p50"));
    rows.push(late(&outcomes, "p99", "1,000 one-second timers, p99").goal(Goal::AtMost(10.0)));
    rows.push(
        Row::of("P6", "1,000 one-second timers: processes started", Unit::PerSecond, (&outcomes, "rate"))
            .class(class),
    );
    let outcomes = bench
        .contest("P6, 10,000 armed", vec![Contestant::new(Part::Ours, "drover agent", move || armed(bench))])
        .await?;
    rows.push(
        Row::of(
            "P6",
            "10,000 armed timers: the agent's anonymous memory grows by",
            Unit::Mebibytes,
            (&outcomes, "rss"),
        )
        .goal(Goal::AtMost(5.0)),
    );
    rows.push(
        Row::of(
            "P6",
            "10,000 armed timers: the agent's processor time",
            Unit::CorePercent,
            (&outcomes, "cpu"),
        )
        .goal(Goal::AtMost(1.0)),
    );
    Ok(rows)
}

/// Nanoseconds between when a process was due and when it ran.
fn lateness(seen: &Sighting) -> Result<u64> {
    let due: Timestamp = seen.due.parse().with_context(|| format!("no scheduled time: {seen:?}"))?;
    Ok(seen.real.saturating_sub(u64::try_from(due.as_nanosecond())?))
}

async fn every_second(bench: &Bench, count: usize, lasting: Duration) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    let mut beacons = Beacons::listen(folder.path(), "b")?;
    let objects: Vec<Value> = (0..count)
        .map(|number| {
            let name = format!("t{number}");
            let mut when = json!({"every": "1s"});
            if count > 1 {
                when["splay"] = json!("1s");
            }
            timer(&name, when, &beacon(&bench.beacon, &beacons.socket, &name, false))
        })
        .collect();
    create_all(&server.api, TIMERS, objects.into_iter(), 4).await?;
    assigned(&server, count).await?;
    // The first ticks share the machine with what made them.
    tokio::time::sleep(Duration::from_secs(3)).await;
    beacons.drain();
    let begun = clock::mono();
    let mut latencies = Vec::new();
    while clock::seconds_since(begun) < lasting.as_secs_f64() {
        latencies.push(lateness(&beacons.next().await?)?);
    }
    let rate = latencies.len() as f64 / clock::seconds_since(begun);
    agent.stop(&server).await?;
    server.stop()?;
    sweep();
    let mut round = Round::latencies("", latencies);
    round.set("rate", rate);
    Ok(round)
}

async fn at_once(bench: &Bench, count: usize) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    let mut beacons = Beacons::listen(folder.path(), "b")?;
    let at = Timestamp::now().checked_add(jiff::SignedDuration::from_secs(4))?;
    let objects: Vec<Value> = (0..count)
        .map(|number| {
            let name = format!("t{number}");
            timer(&name, json!({"at": at.to_string()}), &beacon(&bench.beacon, &beacons.socket, &name, false))
        })
        .collect();
    create_all(&server.api, TIMERS, objects.into_iter(), 4).await?;
    let mut latencies = Vec::new();
    for _ in 0..count {
        latencies.push(lateness(&beacons.next().await?)?);
    }
    agent.stop(&server).await?;
    server.stop()?;
    sweep();
    Ok(Round::latencies("", latencies))
}

async fn armed(bench: &Bench) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let agent = Agent::start(&bench.drover, &server, "node", folder.path()).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = anonymous(agent.pid())?;
    let count = bench.samples(ARMED);
    let objects =
        (0..count).map(|number| timer(&format!("t{number}"), json!({"cron": "0 0 1 1 *"}), &["/bin/true"]));
    create_all(&server.api, TIMERS, objects, 4).await?;
    assigned(&server, count).await?;
    idle(&agent).await?;
    let grown = anonymous(agent.pid())?.saturating_sub(before) as f64 / f64::from(1 << 20);
    let (seconds, cpu) = (bench.lasting(10.0), cpu_seconds(agent.pid())?);
    tokio::time::sleep(seconds).await;
    let used = (cpu_seconds(agent.pid())? - cpu) / seconds.as_secs_f64() * 100.0;
    agent.stop(&server).await?;
    server.stop()?;
    let mut round = Round::one("rss", grown, count as u64);
    round.set("cpu", used);
    Ok(round)
}

async fn assigned(server: &Server, count: usize) -> Result<()> {
    wait::until("every Timer's Assignment", || async { Ok(server.count(ASSIGNMENTS).await? >= count as u64) })
        .await
}

/// The agent has taken them in when it does nothing any more.
async fn idle(agent: &Agent) -> Result<()> {
    let mut before = f64::MAX;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = cpu_seconds(agent.pid())?;
        if now - before < 0.02 && before < f64::MAX {
            return Ok(());
        }
        before = now;
    }
}

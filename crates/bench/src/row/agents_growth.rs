//! P13: what an operation costs as the fleet grows. The agents are sessions of one load process.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::load::agents::{Fleet, What, event};
use crate::processes::{anonymous, cpu_seconds};
use crate::product::objects::{TASKS, task};
use crate::report::{Goal, Row, Unit, short};
use crate::stats::Round;

const FLAT: f64 = 1.2;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let sizes: &[usize] = if bench.quick { &[50, 200] } else { &[100, 1000, 5000] };
    let mut rows = Vec::new();
    let mut first: Vec<f64> = Vec::new();
    for &size in sizes {
        let contestant = Contestant::new(Part::Ours, "drover server", move || fleet(bench, size));
        let outcomes = bench.contest(&format!("P13, {size} agents"), vec![contestant]).await?;
        let operations = [
            ("report", "a report acknowledged, p50", Unit::Millis, true),
            ("desired", "a Task for one node, write to its agent, p50", Unit::Millis, true),
            ("memory", "anonymous memory per agent", Unit::Kibibytes, true),
            ("cpu", "idle: the server's processor time", Unit::CorePercent, false),
        ];
        for (index, (key, what, unit, flat)) in operations.into_iter().enumerate() {
            let mut row =
                Row::of("P13", &format!("{} agents: {what}", short(size as f64)), unit, (&outcomes, key));
            let median = row.ours().map_or(0.0, |ours| ours.median);
            match first.get(index) {
                Some(base) if flat => row.goals.push(Goal::AtMost(base * FLAT)),
                Some(_) => {}
                None => first.push(median),
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

async fn fleet(bench: &Bench, size: usize) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = anonymous(server.pid())?;
    let mut fleet = Fleet::open(&server.api, size).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let memory = anonymous(server.pid())?.saturating_sub(before) as f64 / size as f64 / 1024.0;
    let (seconds, cpu) = (bench.lasting(10.0), cpu_seconds(server.pid())?);
    tokio::time::sleep(seconds).await;
    let idle = (cpu_seconds(server.pid())? - cpu) / seconds.as_secs_f64() * 100.0;
    let samples = bench.samples(200);
    let mut result = Round::default();
    let mut latencies = Vec::new();
    for number in 0..samples {
        let node = number * 7919 % size;
        fleet.forget();
        let begun = clock::mono();
        fleet.report(node, event(&fleet.names[node], &format!("e{number}")));
        latencies.push(fleet.one(node, What::Acknowledged).await?.saturating_sub(begun));
    }
    let taken = Round::latencies("", latencies);
    result.set("report", taken.values["p50"]);
    let mut connection = server.api.connect().await?;
    let mut latencies = Vec::new();
    for number in 0..samples {
        let node = number * 7919 % size;
        let mut object = task(&format!("t{number}"), &["/bin/true"]);
        object["spec"]["placement"] = json!({"nodeName": fleet.names[node]});
        fleet.forget();
        let begun = clock::mono();
        connection.call(Method::POST, TASKS, Bytes::from(object.to_string())).await?;
        latencies.push(fleet.one(node, What::Desired).await?.saturating_sub(begun));
    }
    let taken = Round::latencies("", latencies);
    result.set("desired", taken.values["p50"]);
    result.samples = 2 * samples as u64;
    result.set("memory", memory);
    result.set("cpu", idle);
    drop(fleet);
    server.stop()?;
    Ok(result)
}

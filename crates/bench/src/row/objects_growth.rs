//! P13: what an operation costs as the store grows.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::Method;

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::processes::anonymous;
use crate::product::objects::{CONFIG_MAPS, config_map, create_all};
use crate::product::server::Server;
use crate::report::{Goal, Row, Unit, short};
use crate::stats::Round;

/// What an operation may cost at a larger size, of what it costs at the smallest.
const FLAT: f64 = 1.2;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let sizes: &[usize] = match (bench.quick, bench.full) {
        (true, _) => &[1000, 10_000],
        (false, false) => &[10_000, 100_000],
        (false, true) => &[10_000, 100_000, 1_000_000],
    };
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let idle = anonymous(server.pid())?;
    let (mut rows, mut there) = (Vec::new(), 0);
    let mut first: Vec<f64> = Vec::new();
    for &size in sizes {
        let maps = (there..size).map(|number| config_map(&name(number), ""));
        create_all(&server.api, CONFIG_MAPS, maps, 8).await?;
        there = size;
        // What the load left to be done in the background is no part of it.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let memory = anonymous(server.pid())?.saturating_sub(idle) as f64 / size as f64 / 1024.0;
        let samples = bench.samples(500);
        let server = &server;
        let round = std::cell::Cell::new(0);
        let contestant = Contestant::new(Part::Ours, "drover server", move || {
            round.set(round.get() + 1);
            operations(server, size, samples, (round.get(), memory))
        });
        let outcomes = bench.contest(&format!("P13, {size} objects"), vec![contestant]).await?;
        let operations = [
            ("create", "create, one client, p50", Unit::Millis),
            ("get", "get, p50", Unit::Millis),
            ("page", "list of a page of 500, p50", Unit::Millis),
            ("memory", "anonymous memory per object of 1 KiB", Unit::Kibibytes),
        ];
        for (index, (key, what, unit)) in operations.into_iter().enumerate() {
            let mut row =
                Row::of("P13", &format!("{} objects: {what}", short(size as f64)), unit, (&outcomes, key));
            let median = row.ours().map_or(0.0, |ours| ours.median);
            match first.get(index) {
                Some(base) => row.goals.push(Goal::AtMost(base * FLAT)),
                None => first.push(median),
            }
            rows.push(row);
        }
    }
    server.stop()?;
    Ok(rows)
}

fn name(number: usize) -> String {
    format!("c{number:07}")
}

async fn operations(
    server: &Server,
    size: usize,
    samples: usize,
    (round, memory): (usize, f64),
) -> Result<Round> {
    let mut connection = server.api.connect().await?;
    let mut result = Round::default();
    let mut median = |key: &str, latencies: Vec<u64>| {
        let taken = Round::latencies("", latencies);
        result.set(key, taken.values["p50"]);
        result.samples += taken.samples;
    };
    let mut latencies = Vec::new();
    for number in 0..samples {
        let body = Bytes::from(config_map(&format!("n{size}-{round}-{number}"), "").to_string());
        let begun = clock::mono();
        connection.call(Method::POST, CONFIG_MAPS, body).await?;
        latencies.push(clock::mono() - begun);
    }
    median("create", latencies);
    let mut latencies = Vec::new();
    for number in 0..samples {
        let path = format!("{CONFIG_MAPS}/{}", name(number * 7919 % size));
        let begun = clock::mono();
        connection.call(Method::GET, &path, Bytes::new()).await?;
        latencies.push(clock::mono() - begun);
    }
    median("get", latencies);
    let mut latencies = Vec::new();
    for _ in 0..(samples / 10).max(5) {
        let begun = clock::mono();
        connection.call(Method::GET, &format!("{CONFIG_MAPS}?limit=500"), Bytes::new()).await?;
        latencies.push(clock::mono() - begun);
    }
    median("page", latencies);
    result.set("memory", memory);
    Ok(result)
}

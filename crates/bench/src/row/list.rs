//! P8b: a list of 10,000 objects of 1 KiB, whole, as JSON to one client.

use anyhow::Result;
use bytes::Bytes;
use http::Method;

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::product::objects::{CONFIG_MAPS, config_map, create_all};
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;

const OBJECTS: usize = 10_000;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let lists = bench.samples(50);
    let contestants = vec![
        Contestant::new(Part::Ours, "drover, GET of the collection", move || ours(bench, lists)),
        bench.peers.etcd(move |etcd| async move { etcd.list(bench, OBJECTS, lists).await }),
    ];
    let outcomes = bench.contest("P8b", contestants).await?;
    Ok(vec![
        Row::of("P8b", "list of 10,000 objects of 1 KiB, p50", Unit::Millis, (&outcomes, "p50"))
            .class("TLS for us, none for etcd")
            .goal(Goal::AtMost(25.0)),
        Row::of("P8b", "the same, p99", Unit::Millis, (&outcomes, "p99")),
    ])
}

async fn ours(bench: &Bench, lists: usize) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let maps = (0..OBJECTS).map(|number| config_map(&format!("c{number}"), ""));
    create_all(&server.api, CONFIG_MAPS, maps, 8).await?;
    let mut connection = server.api.connect().await?;
    let mut latencies = Vec::new();
    for _ in 0..lists + 2 {
        let begun = clock::mono();
        let body = connection.call(Method::GET, CONFIG_MAPS, Bytes::new()).await?;
        latencies.push(clock::mono() - begun);
        anyhow::ensure!(body.len() > OBJECTS * 1024, "a short list");
    }
    server.stop()?;
    Ok(Round::latencies("", latencies.split_off(2)))
}

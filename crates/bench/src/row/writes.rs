//! P1: durable object writes a second, over HTTPS and by the store alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use drover_store::{Options, SqliteStore, Store, Txn, TxnOutcome};
use drover_world::World;
use http::Method;

use crate::bench::Bench;
use crate::contest::{Contestant, Part};
use crate::floor;
use crate::load::closed_loop;
use crate::product::objects::{CONFIG_MAPS, VALUE_BYTES, config_map, value};
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;

const WARM: Duration = Duration::from_millis(500);
/// Clients, and what is asked of so many.
const CLIENTS: [(usize, Option<f64>); 3] = [(1, Some(3000.0)), (32, Some(15_000.0)), (64, None)];

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let measured = bench.lasting(3.0);
    let mut rows = disk(bench).await?;
    for (clients, goal) in CLIENTS {
        let outcomes = bench
            .contest(
                &format!("P1, {clients} clients"),
                vec![
                    Contestant::new(Part::Ours, "drover, ConfigMap of 1 KiB created", move || {
                        over_https(bench, clients, measured)
                    }),
                    Contestant::new(Part::Floor, "SQLite FULL, group commit", move || async move {
                        let folder = bench.folder()?;
                        floor::sqlite::group_commit(folder.path(), clients, measured).await
                    }),
                    bench.peers.etcd(move |etcd| async move { etcd.puts(bench, clients, measured).await }),
                ],
            )
            .await?;
        let plural = if clients == 1 { "client" } else { "clients" };
        let mut rate = Row::of(
            "P1",
            &format!("durable writes over HTTPS, {clients} {plural}"),
            Unit::PerSecond,
            (&outcomes, "rate"),
        )
        .class("synced; TLS for us, none for peers")
        .goal(Goal::TimesFloor(0.5));
        if let Some(goal) = goal {
            rate = rate.goal(Goal::AtLeast(goal));
        }
        if clients > 1 {
            rate = rate.goal(Goal::TimesPeer("etcd".into(), 1.5));
        }
        rows.push(rate);
        for (key, what) in [("p50", "p50"), ("p99", "p99")] {
            let what = format!("the same, {what} of a write");
            rows.push(Row::of("P1", &what, Unit::Millis, (&outcomes, key)));
        }
        let outcomes = bench
            .contest(
                &format!("P1, the store alone, {clients}"),
                vec![
                    Contestant::new(Part::Ours, "drover-store, in this process", move || async move {
                        let folder = bench.folder()?;
                        store_alone(folder.path(), clients, measured).await
                    }),
                    Contestant::new(Part::Floor, "SQLite FULL, group commit", move || async move {
                        let folder = bench.folder()?;
                        floor::sqlite::group_commit(folder.path(), clients, measured).await
                    }),
                ],
            )
            .await?;
        rows.push(
            Row::of(
                "P1",
                &format!("the store alone, 1 KiB a transaction, {clients} at once"),
                Unit::PerSecond,
                (&outcomes, "rate"),
            )
            .class("synced; no network")
            .goal(Goal::TimesFloor(0.9)),
        );
    }
    Ok(rows)
}

async fn disk(bench: &Bench) -> Result<Vec<Row>> {
    let seconds = bench.lasting(2.0).as_secs_f64();
    let outcomes = bench
        .contest(
            "P1, the disk",
            vec![Contestant::blocking(Part::Floor, "write 4 KiB, fdatasync", move || {
                floor::disk::fdatasync(bench.folder()?.path(), seconds)
            })],
        )
        .await?;
    let row = |key, what| Row::of("P1", what, Unit::Millis, (&outcomes, key));
    Ok(vec![
        row("append p50", "fdatasync, appending, p50"),
        row("append p99", "fdatasync, appending, p99"),
        row("preallocated p50", "fdatasync, preallocated, p50"),
    ])
}

async fn over_https(bench: &Bench, clients: usize, measured: Duration) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let mut ready: Vec<closed_loop::Client> = Vec::new();
    for _ in 0..clients {
        let connection = Arc::new(tokio::sync::Mutex::new(server.api.connect().await?));
        ready.push(Box::new(move |number| {
            let body = Bytes::from(config_map(&format!("c{number}"), "").to_string());
            let connection = connection.clone();
            Box::pin(async move {
                connection.lock().await.call(Method::POST, CONFIG_MAPS, body).await?;
                Ok(())
            })
        }));
    }
    let round = closed_loop::run("", ready, WARM, measured).await?;
    server.stop()?;
    Ok(round)
}

async fn store_alone(dir: &Path, clients: usize, measured: Duration) -> Result<Round> {
    let world = World::system();
    let store = Arc::new(SqliteStore::open(dir, Options::new(move || world.uuid_v4().as_u128()))?);
    let bytes = Bytes::from(value("").into_bytes());
    debug_assert_eq!(bytes.len(), VALUE_BYTES);
    let ready = (0..clients)
        .map(|_| {
            let (store, bytes) = (store.clone(), bytes.clone());
            let client: closed_loop::Client = Box::new(move |number| {
                let (store, bytes) = (store.clone(), bytes.clone());
                Box::pin(async move {
                    let key = Bytes::from(format!("/bench/{number}"));
                    let txn = Txn::new().when(key.clone(), 0).put(key, bytes);
                    match store.txn(txn).await? {
                        TxnOutcome::Committed { .. } => Ok(()),
                        TxnOutcome::Conflict { .. } => anyhow::bail!("a key was taken"),
                    }
                })
            });
            client
        })
        .collect();
    closed_loop::run("", ready, WARM, measured).await
}

//! P3: one change to many watchers over TLS WebSockets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::floor::fanout::Fanout;
use crate::load::watchers::{self, Deliveries, mark};
use crate::peer::message_bus;
use crate::product::api::Connection;
use crate::product::objects::CONFIG_MAPS;
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;

/// Between two changes where it is measured how late they are.
const PACE: Duration = Duration::from_millis(10);
/// Changes on their way at once where it is measured how many there can be.
const UNDER_WAY: u64 = 64;
/// Writers then.
const WRITERS: usize = 64;
/// Padding that makes the bare fan-out's message as long as an event.
const EVENT_BYTES: usize = 420;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let (paced, flood) = (bench.lasting(4.0), bench.lasting(3.0));
    let mut rows = Vec::new();
    for count in [100, 1000] {
        let mut contestants = vec![
            Contestant::new(Part::Ours, "drover, a ConfigMap replaced", move || {
                ours(bench, count, (paced, flood))
            }),
            Contestant::new(Part::Floor, "bare fan-out, TLS WebSocket, not stored", move || {
                bare(bench, count, (paced, flood))
            }),
            bench.peers.etcd(move |etcd| async move { etcd.watches(bench, count, (paced, flood)).await }),
        ];
        contestants
            .extend(bench.peers.buses(move |bus| message_bus::fanout(bench, bus, count, (paced, flood))));
        let outcomes = bench.contest(&format!("P3, {count} watchers"), contestants).await?;
        let class = "drover and etcd synced, the others memory; TLS for us and the floor";
        let row = |key, what: String, unit| Row::of("P3", &what, unit, (&outcomes, key)).class(class);
        let mut late = [
            row("p50", format!("change to {count} watchers, from the write's beginning, p50"), Unit::Millis),
            row("p99", "the same, p99".into(), Unit::Millis),
            row("max", "the same, max".into(), Unit::Millis),
        ];
        let rate = row("rate", format!("events delivered to {count} watchers"), Unit::PerSecond);
        if count == 100 {
            late[0].goals.push(Goal::AtMost(2.8));
            late[1].goals.push(Goal::AtMost(6.0));
        }
        rows.extend(late);
        rows.push(if count == 1000 { rate.goal(Goal::TimesFloor(0.5)) } else { rate });
    }
    Ok(rows)
}

fn config_map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"value": mark()}})
    .to_string()
}

async fn put(connection: &mut Connection, name: &str) -> Result<()> {
    let body = Bytes::from(config_map(name));
    connection.call(Method::PUT, &format!("{CONFIG_MAPS}/{name}"), body).await?;
    Ok(())
}

async fn ours(bench: &Bench, count: usize, (paced, flood): (Duration, Duration)) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let mut connection = server.api.connect().await?;
        let body = Bytes::from(config_map(&format!("w{number}")));
        connection.call(Method::POST, CONFIG_MAPS, body).await?;
        writers.push(connection);
    }
    let path = format!("{CONFIG_MAPS}?watch=1");
    let open = watchers::open(&server.api.client, &path, count).await?;
    // What was there before comes first.
    settle(&open.deliveries, (WRITERS * count) as u64).await?;
    let latencies = {
        let writer = &mut writers[0];
        pace(&open.deliveries, count, paced, async || put(writer, "w0").await).await?
    };
    let mut round = Round::latencies("", latencies);
    let mut tasks = tokio::task::JoinSet::new();
    let gate = Gate::new(open.deliveries.clone(), count, flood);
    for (number, mut writer) in writers.into_iter().enumerate() {
        let gate = gate.clone();
        tasks.spawn(async move {
            while gate.pass().await? {
                put(&mut writer, &format!("w{number}")).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    round.set("rate", gate.rate().await?);
    drop(open);
    server.kill();
    Ok(round)
}

async fn bare(bench: &Bench, count: usize, (paced, flood): (Duration, Duration)) -> Result<Round> {
    let folder = bench.folder()?;
    let fanout = Fanout::start(folder.path())?;
    let open = watchers::open(&fanout.client, "/", count).await?;
    let mut publisher = fanout.publisher().await?;
    let message = || format!("{:.<EVENT_BYTES$}", mark());
    let latencies =
        pace(&open.deliveries, count, paced, async || Ok(publisher.send_text(message()).await?)).await?;
    let mut round = Round::latencies("", latencies);
    let gate = Gate::new(open.deliveries.clone(), count, flood);
    while gate.pass().await? {
        publisher.send_text(message()).await?;
    }
    round.set("rate", gate.rate().await?);
    Ok(round)
}

/// Waits until so many deliveries came, and forgets them.
pub(crate) async fn settle(deliveries: &Deliveries, wanted: u64) -> Result<()> {
    crate::wait::until("deliveries", || async { Ok(deliveries.count()? >= wanted) }).await?;
    deliveries.take();
    Ok(())
}

/// One change every [`PACE`], and how late each was at each watcher.
pub(crate) async fn pace(
    deliveries: &Deliveries,
    count: usize,
    lasting: Duration,
    mut change: impl AsyncFnMut() -> Result<()>,
) -> Result<Vec<u64>> {
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let begun = clock::mono();
    let mut changes = 0;
    while clock::seconds_since(begun) < lasting.as_secs_f64() {
        ticks.tick().await;
        change().await?;
        changes += 1;
    }
    let wanted = changes * count as u64;
    crate::wait::until("deliveries", || async { Ok(deliveries.count()? >= wanted) }).await?;
    Ok(deliveries.take())
}

/// Lets a bounded number of changes be under way, for a while: no subscriber falls so far behind that it is dropped.
pub(crate) struct Gate {
    deliveries: Arc<Deliveries>,
    count: u64,
    begun: u64,
    lasting: Duration,
    changes: std::sync::atomic::AtomicU64,
}

impl Gate {
    pub(crate) fn new(deliveries: Arc<Deliveries>, count: usize, lasting: Duration) -> Arc<Self> {
        let changes = std::sync::atomic::AtomicU64::new(0);
        Arc::new(Self { deliveries, count: count as u64, begun: clock::mono(), lasting, changes })
    }

    /// Waits until another change may be made; false when the time is over.
    pub(crate) async fn pass(&self) -> Result<bool> {
        use std::sync::atomic::Ordering::Relaxed;
        loop {
            if clock::seconds_since(self.begun) > self.lasting.as_secs_f64() {
                return Ok(false);
            }
            if self.changes.load(Relaxed) * self.count < self.deliveries.count()? + UNDER_WAY * self.count {
                self.changes.fetch_add(1, Relaxed);
                return Ok(true);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Deliveries a second, once all came.
    pub(crate) async fn rate(&self) -> Result<f64> {
        let wanted = self.changes.load(std::sync::atomic::Ordering::Relaxed) * self.count;
        loop {
            if self.deliveries.count()? >= wanted {
                return Ok(wanted as f64 / clock::seconds_since(self.begun));
            }
            if clock::seconds_since(self.begun) > 120.0 {
                bail!("{} of {wanted} deliveries came", self.deliveries.count()?);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

//! etcd, one member, over its own gRPC without TLS: it syncs every write before it answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::BytesMut;
use tempfile::TempDir;

use super::free_port;
use super::grpc::{self, Grpc, field};
use super::install::Installed;
use super::message_bus::Stamps;
use crate::bench::Bench;
use crate::clock;
use crate::load::closed_loop;
use crate::load::watchers::{Deliveries, mark};
use crate::processes::{Running, anonymous, rss};
use crate::product::objects::value;
use crate::row::watches::{Gate, pace};
use crate::stats::Round;

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const WARM: Duration = Duration::from_millis(500);
/// Writers where watches are flooded, and where a store is filled.
const WRITERS: usize = 64;

pub(crate) struct Etcd(pub(super) Installed);

struct Started {
    process: Running,
    port: u16,
    ready_after: u64,
}

impl Etcd {
    async fn start(&self, data_dir: &Path) -> Result<Started> {
        let (port, peer) = (free_port()?, free_port()?);
        let (url, peer_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let mut command = self.0.command("etcd")?;
        command
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}"), "--log-level", "error"])
            .arg("--data-dir")
            .arg(data_dir);
        let begun = clock::mono();
        let process = Running::start(&mut command, &data_dir.with_extension("log"))?;
        let mut key = BytesMut::new();
        field(&mut key, 1, b"ready");
        loop {
            let answered = async { Grpc::connect(port).await?.unary(RANGE, &key).await };
            if answered.await.is_ok() {
                break;
            }
            anyhow::ensure!(clock::seconds_since(begun) < 30.0, "etcd does not answer");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Started { process, port, ready_after: clock::mono() - begun })
    }

    fn folder(bench: &Bench) -> Result<(TempDir, PathBuf)> {
        let folder = bench.folder()?;
        let dir = folder.path().join("data");
        Ok((folder, dir))
    }

    /// Writes a second.
    pub(crate) async fn puts(&self, bench: &Bench, clients: usize, measured: Duration) -> Result<Round> {
        let (_folder, dir) = Self::folder(bench)?;
        let etcd = self.start(&dir).await?;
        let mut ready: Vec<closed_loop::Client> = Vec::new();
        for _ in 0..clients {
            let connection = Grpc::connect(etcd.port).await?;
            ready.push(Box::new(move |number| {
                let mut connection = connection.clone();
                Box::pin(async move {
                    put(&mut connection, &format!("c{number}"), &value("")).await?;
                    Ok(())
                })
            }));
        }
        closed_loop::run("", ready, WARM, measured).await
    }

    /// Changes and their watchers.
    pub(crate) async fn watches(
        &self,
        bench: &Bench,
        count: usize,
        (paced, flood): (Duration, Duration),
    ) -> Result<Round> {
        let (_folder, dir) = Self::folder(bench)?;
        let etcd = self.start(&dir).await?;
        let deliveries = std::sync::Arc::new(Deliveries::default());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..count {
            let mut connection = Grpc::connect(etcd.port).await?;
            let (mut create, mut request) = (BytesMut::new(), BytesMut::new());
            field(&mut create, 1, b"w");
            field(&mut create, 2, b"x");
            field(&mut request, 1, &create);
            let mut stream = connection.streaming(WATCH, &request).await?;
            // The first message says that it watches.
            grpc::next(&mut stream).await?;
            let deliveries = deliveries.clone();
            tasks.spawn(async move {
                let _connection = connection;
                let mut stamps = Stamps::default();
                while let Ok(bytes) = grpc::next(&mut stream).await {
                    stamps.feed(&bytes, &deliveries);
                }
                deliveries.ended();
            });
        }
        let mut writer = Grpc::connect(etcd.port).await?;
        let latencies =
            pace(&deliveries, count, paced, async || put(&mut writer, "w0", &mark()).await).await?;
        let mut round = Round::latencies("", latencies);
        let gate = Gate::new(deliveries.clone(), count, flood);
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..WRITERS {
            let (mut connection, gate) = (Grpc::connect(etcd.port).await?, gate.clone());
            writers.spawn(async move {
                while gate.pass().await? {
                    put(&mut connection, &format!("w{number}"), &mark()).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = writers.join_next().await {
            done??;
        }
        round.set("rate", gate.rate().await?);
        Ok(round)
    }

    /// A whole list.
    pub(crate) async fn list(&self, bench: &Bench, objects: usize, lists: usize) -> Result<Round> {
        let (_folder, dir) = Self::folder(bench)?;
        let etcd = self.start(&dir).await?;
        load(etcd.port, objects).await?;
        let mut connection = Grpc::connect(etcd.port).await?;
        let mut range = BytesMut::new();
        field(&mut range, 1, b"c");
        field(&mut range, 2, b"d");
        let mut latencies = Vec::new();
        for _ in 0..lists + 2 {
            let begun = clock::mono();
            let answer = connection.unary(RANGE, &range).await?;
            latencies.push(clock::mono() - begun);
            anyhow::ensure!(answer.len() > objects * 1024, "a short list");
        }
        Ok(Round::latencies("", latencies.split_off(2)))
    }

    /// Empty, and per thousand objects.
    pub(crate) async fn memory(&self, bench: &Bench, objects: usize) -> Result<Round> {
        let (_folder, dir) = Self::folder(bench)?;
        let etcd = self.start(&dir).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = rss(etcd.process.pid())? as f64 / f64::from(1 << 20);
        let before = anonymous(etcd.process.pid())? as f64 / f64::from(1 << 20);
        load(etcd.port, objects).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let loaded = anonymous(etcd.process.pid())? as f64 / f64::from(1 << 20);
        let mut round = Round::one("idle", idle, 1);
        round.set("objects", (loaded - before) / (objects as f64 / 1000.0));
        Ok(round)
    }

    /// From a start to the first answer.
    pub(crate) async fn cold_start(&self, bench: &Bench) -> Result<Round> {
        let (_folder, dir) = Self::folder(bench)?;
        let millis = |started: &Started| started.ready_after as f64 / 1e6;
        let etcd = self.start(&dir).await?;
        let mut round = Round::one("first", millis(&etcd), 1);
        etcd.process.kill();
        let etcd = self.start(&dir).await?;
        round.set("empty", millis(&etcd));
        load(etcd.port, 10_000).await?;
        etcd.process.kill();
        let etcd = self.start(&dir).await?;
        round.set("loaded", millis(&etcd));
        Ok(round)
    }
}

async fn put(connection: &mut Grpc, key: &str, value: &str) -> Result<()> {
    let mut message = BytesMut::with_capacity(value.len() + 64);
    field(&mut message, 1, key.as_bytes());
    field(&mut message, 2, value.as_bytes());
    connection.unary(PUT, &message).await.with_context(|| format!("put {key}"))?;
    Ok(())
}

async fn load(port: u16, objects: usize) -> Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..WRITERS {
        let mut connection = Grpc::connect(port).await?;
        tasks.spawn(async move {
            for number in (worker..objects).step_by(WRITERS) {
                put(&mut connection, &format!("c{number}"), &value("")).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

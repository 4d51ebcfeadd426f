//! What NATS and Redis have in common: one publisher, many subscribers, nothing stored.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::free_port;
use crate::bench::Bench;
use crate::clock;
use crate::load::watchers::{Deliveries, mark, stamp};
use crate::processes::{Running, anonymous, rss};
use crate::row::watches::{Gate, pace};
use crate::stats::Round;

/// As long as drover's event is.
const MESSAGE: usize = 420;

/// A bus, in its own words.
pub(crate) trait MessageBus {
    /// Starts it on a port.
    fn start(&self, dir: &Path, port: u16) -> Result<Running>;
    /// What a subscriber sends, and the end of what it is answered.
    fn subscribe(&self) -> (Vec<u8>, &'static [u8]);
    /// What a connection that only sits there sends.
    fn greet(&self) -> (Vec<u8>, &'static [u8]);
    /// What a publisher sends.
    fn publish(&self, message: &str) -> Vec<u8>;
}

/// Finds stamps in a stream of bytes, wherever it is cut.
#[derive(Debug, Default)]
pub(crate) struct Stamps(String);

impl Stamps {
    /// Counts each stamp once.
    pub(crate) fn feed(&mut self, bytes: &[u8], deliveries: &Deliveries) {
        self.0.push_str(&String::from_utf8_lossy(bytes));
        while let Some(at) = self.0.find("STAMP") {
            if stamp(&self.0[at..]).is_none() && self.0.len() < at + 21 {
                self.0.drain(..at);
                return;
            }
            deliveries.came(&self.0[at..]);
            self.0.drain(..at + 5);
        }
        // The beginning of one may be all that came of it.
        let mut keep = self.0.len().saturating_sub(4);
        while !self.0.is_char_boundary(keep) {
            keep += 1;
        }
        self.0.drain(..keep);
    }
}

type Measured<'a> = LocalBoxFuture<'a, Result<Round>>;

/// How late messages are at many subscribers, and how many there can be.
pub(crate) fn fanout<'a>(
    bench: &'a Bench,
    bus: &'a dyn MessageBus,
    count: usize,
    (paced, flood): (Duration, Duration),
) -> Measured<'a> {
    Box::pin(async move {
        let folder = bench.folder()?;
        let port = free_port()?;
        let _process = started(bus, folder.path(), port).await?;
        let deliveries = Arc::new(Deliveries::default());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..count {
            let mut stream = open(port, bus.subscribe()).await?;
            let deliveries = deliveries.clone();
            tasks.spawn(async move {
                let (mut stamps, mut buffer) = (Stamps::default(), vec![0; 16 << 10]);
                while let Ok(size @ 1..) = stream.read(&mut buffer).await {
                    stamps.feed(&buffer[..size], &deliveries);
                }
                deliveries.ended();
            });
        }
        let (mut reader, mut publisher) = open(port, bus.greet()).await?.into_split();
        tasks.spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(1..) = reader.read(&mut buffer).await {}
        });
        let message = || bus.publish(&format!("{:.<MESSAGE$}", mark()));
        let latencies =
            pace(&deliveries, count, paced, async || Ok(publisher.write_all(&message()).await?)).await?;
        let mut round = Round::latencies("", latencies);
        let gate = Gate::new(deliveries.clone(), count, flood);
        while gate.pass().await? {
            publisher.write_all(&message()).await?;
        }
        round.set("rate", gate.rate().await?);
        Ok(round)
    })
}

/// Idle, and per idle connection.
pub(crate) fn memory<'a>(bench: &'a Bench, bus: &'a dyn MessageBus, connections: usize) -> Measured<'a> {
    Box::pin(async move {
        let folder = bench.folder()?;
        let port = free_port()?;
        let process = started(bus, folder.path(), port).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (idle, before) = (rss(process.pid())?, anonymous(process.pid())?);
        let mut open_ones = Vec::new();
        for _ in 0..connections {
            open_ones.push(open(port, bus.greet()).await?);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let loaded = anonymous(process.pid())?;
        let mut round = Round::one("idle", idle as f64 / f64::from(1 << 20), 1);
        round.set("agent", loaded.saturating_sub(before) as f64 / 1024.0 / connections as f64);
        Ok(round)
    })
}

async fn started(bus: &dyn MessageBus, dir: &Path, port: u16) -> Result<Running> {
    let process = bus.start(dir, port)?;
    let begun = clock::mono();
    while let Err(error) = open(port, bus.greet()).await {
        if clock::seconds_since(begun) > 20.0 {
            return Err(error).context("it does not answer");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(process)
}

async fn open(port: u16, (words, end): (Vec<u8>, &[u8])) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&words).await?;
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        if stream.read_buf(&mut heard).await? == 0 {
            bail!("it closed the connection: {}", String::from_utf8_lossy(&heard));
        }
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_counted_once_however_the_stream_is_cut() {
        let stream = format!("MSG a {}..{}xx", mark(), mark());
        for size in [1, 5, 20, 21, 22, 1000] {
            let (mut stamps, deliveries) = (Stamps::default(), Deliveries::default());
            for part in stream.as_bytes().chunks(size) {
                stamps.feed(part, &deliveries);
            }
            assert_eq!(deliveries.count().unwrap(), 2, "{size}");
        }
    }
}

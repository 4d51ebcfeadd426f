//! Many WebSockets that are told the same: how late each delivery is, and how many there are.
//!
//! What is told bears the stamp of when its publisher began, see [`mark`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use drover_client::{Client, Message};
use tokio::task::JoinSet;

use crate::clock;

const MARK: &str = "STAMP";

/// The stamp of now, as text that stands in a JSON string.
pub(crate) fn mark() -> String {
    format!("{MARK}{:016x}", clock::mono())
}

/// The stamp in something told.
pub(crate) fn stamp(text: &str) -> Option<u64> {
    let at = text.find(MARK)? + MARK.len();
    u64::from_str_radix(text.get(at..at + 16)?, 16).ok()
}

/// What deliveries are counted in; peers' clients use it, too.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    count: AtomicU64,
    ended: AtomicU64,
    latencies: Mutex<Vec<u64>>,
}

impl Deliveries {
    /// One more. Without a stamp it is none of ours.
    pub(crate) fn came(&self, text: &str) {
        let Some(stamp) = stamp(text) else { return };
        let late = clock::mono().saturating_sub(stamp);
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut latencies) = self.latencies.lock() {
            latencies.push(late);
        }
    }

    /// A subscriber is no more.
    pub(crate) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How many came. An error when a subscriber was dropped: then nothing that was counted means anything.
    pub(crate) fn count(&self) -> Result<u64> {
        match self.ended.load(Ordering::Relaxed) {
            0 => Ok(self.count.load(Ordering::Relaxed)),
            ended => bail!("{ended} subscribers were dropped"),
        }
    }

    /// The latencies so far, which are forgotten.
    pub(crate) fn take(&self) -> Vec<u64> {
        self.count.store(0, Ordering::Relaxed);
        self.latencies.lock().map(|mut latencies| std::mem::take(&mut *latencies)).unwrap_or_default()
    }
}

/// Open subscriptions; dropped, they end.
pub(crate) struct Watchers {
    pub(crate) deliveries: Arc<Deliveries>,
    _tasks: JoinSet<()>,
}

/// Opens so many WebSockets at a path.
pub(crate) async fn open(client: &Client, path: &str, count: usize) -> Result<Watchers> {
    let deliveries = Arc::new(Deliveries::default());
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (_sender, mut receiver) = client.open_websocket(path, &[]).await?.split();
        let deliveries = deliveries.clone();
        tasks.spawn(async move {
            // The other half is held: a socket whose sender is gone would be closed.
            let _sender = _sender;
            while let Ok(Some(message)) = receiver.next().await {
                match message {
                    Message::Text(text) => deliveries.came(&text),
                    Message::Binary(_) | Message::Alive => {}
                    Message::Close { .. } => break,
                }
            }
            deliveries.ended();
        });
    }
    Ok(Watchers { deliveries, _tasks: tasks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_wherever_it_stands() {
        let before = clock::mono();
        let told = format!("{{\"a\":\"{}xxx\"}}", mark());
        let read = stamp(&told).unwrap();
        assert!(read >= before && read <= clock::mono());
        assert_eq!(stamp("nothing"), None);
        assert_eq!(stamp("STAMP12"), None);
    }
}

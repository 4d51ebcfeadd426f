//! A closed loop: so many clients, each of which asks again as soon as it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::clock;
use crate::stats::Round;

/// One client: does its work once, whenever it is called with a number that nobody else was given.
pub(crate) type Client = Box<dyn FnMut(u64) -> BoxFuture<'static, Result<()>> + Send>;

/// Runs clients for a while after a warm-up, and tells rate and latencies, named with this prefix.
pub(crate) async fn run(
    prefix: &str,
    clients: Vec<Client>,
    warm: Duration,
    measured: Duration,
) -> Result<Round> {
    let count = clients.len() as u64;
    let (counting, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut tasks = tokio::task::JoinSet::new();
    for (index, mut client) in clients.into_iter().enumerate() {
        let (counting, stop) = (counting.clone(), stop.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let mut number = index as u64;
            while !stop.load(Ordering::Relaxed) {
                let counts = counting.load(Ordering::Relaxed);
                let begun = clock::mono();
                client(number).await?;
                // What began in the warm-up, or ended after the end, does not count.
                if counts && !stop.load(Ordering::Relaxed) {
                    latencies.push(clock::mono() - begun);
                }
                number += count;
            }
            anyhow::Ok(latencies)
        });
    }
    tokio::time::sleep(warm).await;
    counting.store(true, Ordering::Relaxed);
    let begun = clock::mono();
    tokio::time::sleep(measured).await;
    stop.store(true, Ordering::Relaxed);
    let seconds = clock::seconds_since(begun);
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let rate = latencies.len() as f64 / seconds;
    let mut round = Round::latencies(prefix, latencies);
    round.set(&format!("{prefix}rate"), rate);
    Ok(round)
}

//! `kill -9` of a server that writes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use drover_client::Client;
use drover_world::{Entropy as _, SystemEntropy};
use serde_json::Value;

use super::hub::{CONFIGMAPS, Hub, config_map, config_maps, name_of, revision_of, soon, value_of};

const KILLS: usize = 200;
const WRITES: usize = 10_000;
const WRITERS: usize = 16;

/// What one writer knows.
#[derive(Default)]
struct Known {
    /// What was acknowledged last of each object.
    acked: BTreeMap<String, u64>,
    /// What was sent after that and never answered: it may be there or not.
    doubtful: BTreeMap<String, u64>,
    revision: u64,
}

/// Writes one object after another, each several times, and comes back to a server that was killed.
async fn write(writer: usize, client: &RwLock<Client>, done: &AtomicUsize) -> Known {
    let mut known = Known::default();
    let mut number = 0;
    while done.load(Ordering::Relaxed) < WRITES {
        let name = format!("w{writer}-{}", number / 5);
        number += 1;
        let held = known.acked.get(&name).copied().unwrap_or(0);
        let next = known.doubtful.get(&name).copied().unwrap_or(held) + 1;
        let path = format!("{CONFIGMAPS}/{name}");
        let object = config_map(&name, &next.to_string());
        // Whether it was made is not known while nothing was acknowledged.
        known.doubtful.insert(name.clone(), next);
        let (creates, now) = (held == 0, client.read().unwrap().clone());
        let answer: Result<Value, _> =
            if creates { now.create(CONFIGMAPS, &object).await } else { now.replace(&path, &object).await };
        match answer {
            Ok(stored) => {
                assert!(revision_of(&stored) > known.revision, "the revision went back");
                known.revision = revision_of(&stored);
                assert_eq!(value_of(&stored), next.to_string());
                known.doubtful.remove(&name);
                known.acked.insert(name, next);
                done.fetch_add(1, Ordering::Relaxed);
            }
            // One that was stored and never answered.
            Err(error) if error.is_already_exists() => {
                let stored: Result<Value, _> = now.get(&path).await;
                if let Ok(stored) = stored {
                    known.acked.insert(name.clone(), value_of(&stored).parse().unwrap());
                }
            }
            Err(error) => {
                assert!(error.is_transient() || error.api().is_none(), "{error}");
                // The server needs the processors to come back.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_01_what_was_acknowledged_survives_200_kills_of_the_server_and_nothing_is_half() {
    let mut hub = Hub::running();
    let client = Arc::new(RwLock::new(hub.client()));
    let done = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, done) = (client.clone(), done.clone());
            tokio::spawn(async move { write(writer, &client, &done).await })
        })
        .collect();
    for kill in 1..=KILLS {
        // After so many writes, and then at some moment of the next ones.
        let after = WRITES * kill / (KILLS + 1);
        soon("the writes go on", async {
            while done.load(Ordering::Relaxed) < after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let mut turns = [0];
        SystemEntropy.fill(&mut turns);
        for _ in 0..turns[0] {
            tokio::task::yield_now().await;
        }
        hub.kill();
        hub.start();
        *client.write().unwrap() = hub.client();
    }
    let mut known = Vec::new();
    for writer in writers {
        known.push(soon("the writers are done", writer).await.unwrap());
    }
    hub.kill();
    hub.start();
    let stored: BTreeMap<String, u64> = config_maps(&hub.client())
        .await
        .iter()
        .map(|object| (name_of(object), value_of(object).parse().unwrap()))
        .collect();
    for known in &known {
        for (name, acked) in &known.acked {
            let doubtful = known.doubtful.get(name).copied().unwrap_or(*acked);
            let found = stored.get(name).copied();
            assert!(
                found.is_some_and(|found| found == *acked || (*acked < found && found <= doubtful)),
                "{name}: {acked} was acknowledged, {doubtful} was sent, {found:?} is there"
            );
        }
    }
    assert!(done.load(Ordering::Relaxed) >= WRITES);
}

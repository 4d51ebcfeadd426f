//! The threaded store.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use drover_store::{
    ChangeKind, Commit, KeyValue, ListOptions, Observer, Options, SqliteStore, Store, StoreError, Txn,
    TxnOutcome,
};
use futures_util::FutureExt;

use super::{open, options, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_compare_and_swap_loses_no_increment() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(dir.path()));
    let adders: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let mut current = store.get(b"sum").await.unwrap();
                    loop {
                        let value = current.as_ref().map_or(0, |found| {
                            std::str::from_utf8(&found.value).unwrap().parse::<u64>().unwrap()
                        });
                        let held = current.as_ref().map_or(0, |found| found.mod_revision);
                        let txn = Txn::new().when("sum", held).put("sum", (value + 1).to_string());
                        match store.txn(txn).await.unwrap() {
                            TxnOutcome::Committed { .. } => break,
                            TxnOutcome::Conflict { current: found, .. } => current = found,
                        }
                    }
                }
            })
        })
        .collect();
    for adder in adders {
        adder.await.unwrap();
    }
    assert_eq!(store.get(b"sum").await.unwrap().unwrap().value, "160");
    assert_eq!(store.status().await.unwrap().revision, 160);
}

#[tokio::test]
async fn each_of_a_group_gets_its_own_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "taken", "x").await;
    let txns = (0..40).map(|index| match index % 4 {
        0 => Txn::new().when("taken", 0).put("taken", "y"),
        1 => Txn::new().put("", "no key"),
        _ => Txn::new().put(format!("k{index}"), "v"),
    });
    let answers = futures_util::future::join_all(txns.map(|txn| store.txn(txn))).await;
    let mut revisions = Vec::new();
    for (index, answer) in answers.into_iter().enumerate() {
        match (index % 4, answer) {
            (0, Ok(TxnOutcome::Conflict { key, current })) => {
                assert_eq!((&key[..], &current.unwrap().value[..]), (&b"taken"[..], &b"x"[..]));
            }
            (1, Err(StoreError::Invalid { .. })) => {}
            (2 | 3, Ok(TxnOutcome::Committed { revision })) => revisions.push(revision),
            (_, other) => panic!("{index} was answered {other:?}"),
        }
    }
    assert_eq!(revisions, (2..=21).collect::<Vec<_>>());
    let metrics = store.metrics();
    assert!(metrics.syncs.load(Relaxed) <= metrics.commits.load(Relaxed));
    assert_eq!(metrics.conflicts.load(Relaxed), 10);
}

/// Holds the writer after its first commit until it is told to go on.
struct Gate(std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>);

impl Observer for Gate {
    fn prefix(&self) -> &[u8] {
        b""
    }
    fn replay(&self) -> u64 {
        0
    }
    fn reset(&self, _: Vec<KeyValue>, _: u64) {}
    fn committed(&self, _: &Commit) {
        if let Some(open) = self.0.lock().unwrap().take() {
            open.recv().unwrap();
        }
    }
    fn closed(&self) {}
}

#[tokio::test]
async fn all_that_waits_is_committed_with_one_sync() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let (go, gate) = std::sync::mpsc::channel();
    store.attach(Arc::new(Gate(std::sync::Mutex::new(Some(gate))))).await.unwrap();
    let mut first = store.txn(Txn::new().put("first", "v"));
    // Each is in the writer's queue once it was polled, and the writer is held at the first.
    assert!((&mut first).now_or_never().is_none());
    while store.metrics().syncs.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut waiting: Vec<_> =
        (0..200).map(|index| store.txn(Txn::new().put(format!("k/{index}"), "v"))).collect();
    for txn in &mut waiting {
        // The runtime lets a task do only so much between two of these.
        tokio::task::yield_now().await;
        assert!(txn.now_or_never().is_none());
    }
    let before = store.metrics().syncs.load(Relaxed);
    go.send(()).unwrap();
    first.await.unwrap();
    let mut revisions = Vec::new();
    for txn in waiting {
        match txn.await.unwrap() {
            TxnOutcome::Committed { revision } => revisions.push(revision),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(revisions, (2..=201).collect::<Vec<_>>());
    let metrics = store.metrics();
    assert_eq!(metrics.syncs.load(Relaxed) - before, 1, "200 transactions, one sync");
    assert_eq!(metrics.batched.load(Relaxed), 201);
    assert_eq!(metrics.batches[8].load(Relaxed), 1, "one batch of more than 128");
}

#[tokio::test]
async fn a_transaction_that_changes_nothing_takes_no_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "1").await;
    let outcome = store.txn(Txn::new().when("a", 1).delete("absent")).await.unwrap();
    assert_eq!(outcome, TxnOutcome::Committed { revision: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_starts_amid_writes_has_no_gap_and_no_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(dir.path()));
    for index in 0..100 {
        put(&*store, &format!("a/{}", index % 7), &index.to_string()).await;
    }
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for index in 100..300 {
                put(&*store, &format!("a/{}", index % 7), &index.to_string()).await;
                put(&*store, "b", "other").await;
            }
        })
    };
    let mut watches = Vec::new();
    for from in [0, 50, 100] {
        watches.push((from, store.watch(b"a/", from).await.unwrap()));
    }
    for (from, mut watch) in watches {
        let mut last = from;
        for index in from..300 {
            let commit = watch.next().await.unwrap().unwrap();
            assert!(commit.revision > last);
            last = commit.revision;
            assert_eq!(commit.changes[0].kind, ChangeKind::Put { value: index.to_string().into() });
        }
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn compaction_refuses_the_past_and_gives_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let value = Bytes::from(vec![7; 100_000]);
    for _ in 0..60 {
        store.txn(Txn::new().put("big", value.clone())).await.unwrap();
    }
    store.compact(1).await.unwrap();
    let before = store.status().await.unwrap().db_bytes;
    store.compact(60).await.unwrap();
    let after = store.status().await.unwrap();
    assert!(after.db_bytes < before / 4, "{before} bytes became {}", after.db_bytes);
    assert_eq!(after.compacted, 60);
    assert!(matches!(store.watch(b"", 59).await, Err(StoreError::Compacted { compacted: 60 })));
    assert!(store.watch(b"", 60).await.is_ok());
    let at = |revision| ListOptions { revision: Some(revision), ..ListOptions::default() };
    assert!(matches!(store.list(b"", at(59)).await, Err(StoreError::Compacted { compacted: 60 })));
    assert!(matches!(store.list(b"", at(61)).await, Err(StoreError::FutureRevision { current: 60, .. })));
    assert_eq!(store.list(b"", at(60)).await.unwrap().items[0].value, value);
}

#[tokio::test]
async fn history_is_bounded_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let few = SqliteStore::open(dir.path(), Options { keep_revisions: 50, ..options() }).unwrap();
    for index in 0..200 {
        put(&few, "k", &index.to_string()).await;
    }
    let status = few.status().await.unwrap();
    assert!(status.compacted >= status.revision - 56, "{status:?}");
    drop(few);
    let dir = tempfile::tempdir().unwrap();
    let small = SqliteStore::open(dir.path(), Options { keep_bytes: 1 << 20, ..options() }).unwrap();
    let value = "x".repeat(50_000);
    for _ in 0..200 {
        put(&small, "k", &value).await;
    }
    small.compact(0).await.unwrap();
    let status = small.status().await.unwrap();
    assert!(status.compacted > 150 && status.db_bytes < 4 << 20, "{status:?}");
}

#[tokio::test]
async fn a_watch_nobody_reads_is_closed_and_stalls_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Options { watch_capacity: 4, ..options() }).unwrap();
    let mut idle = store.watch(b"", 0).await.unwrap();
    for index in 0..10 {
        put(&store, "k", &index.to_string()).await;
    }
    assert!(matches!(idle.next().await, Some(Err(StoreError::Slow { capacity: 4 }))));
    assert!(idle.next().await.is_none());
    assert_eq!(store.metrics().slow_closes.load(Relaxed), 1);
    assert_eq!(store.metrics().watches.load(Relaxed), 0);
}

#[tokio::test]
async fn a_list_in_pages_is_one_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for index in 0..10 {
        put(&store, &format!("k/{index}"), "old").await;
    }
    let mut options = ListOptions { limit: 3, ..ListOptions::default() };
    let (mut seen, mut left) = (Vec::new(), Vec::new());
    loop {
        let page = store.list(b"k/", options.clone()).await.unwrap();
        left.push(page.remaining);
        options.revision = Some(page.revision);
        options.start_after = page.items.last().map(|item| item.key.clone());
        seen.extend(page.items);
        if !page.more {
            break;
        }
        store.txn(Txn::new().delete("k/9").put("k/5", "new").put("k/55", "new")).await.unwrap();
    }
    assert_eq!(left, [7, 4, 1, 0]);
    assert_eq!(seen.len(), 10);
    assert!(seen.iter().all(|item| item.value == "old"));
}

//! The write-ahead log stays small, whatever is written and whoever reads.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use drover_store::{ListOptions, Options, SqliteStore, Store, StoreError, Txn};

use super::{options, put};

fn small_log(dir: &std::path::Path) -> SqliteStore {
    SqliteStore::open(dir, Options { wal_bytes: 1 << 20, ..options() }).unwrap()
}

#[tokio::test]
async fn many_small_writes_leave_no_large_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_log(dir.path());
    for index in 0..1000 {
        put(&store, &format!("k/{}", index % 50), "v").await;
        // What asks between two writes must not keep the log from being moved.
        let wal_bytes = store.status().await.unwrap().wal_bytes;
        assert!(wal_bytes < 9 << 20, "the log has {wal_bytes} bytes after {index} writes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_never_pause_do_not_let_the_log_grow() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(small_log(dir.path()));
    for index in 0..500 {
        put(&*store, &format!("k/{index:03}"), &"v".repeat(500)).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    store.list(b"", ListOptions::default()).await.unwrap();
                }
            })
        })
        .collect();
    for index in 0..1000 {
        put(&*store, &format!("k/{:03}", index % 500), &"w".repeat(500)).await;
        let wal_bytes = store.status().await.unwrap().wal_bytes;
        assert!(wal_bytes < 9 << 20, "the log has {wal_bytes} bytes after {index} writes");
    }
    stop.store(true, Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_is_stuck_stops_the_log_and_not_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_log(dir.path());
    put(&store, "k", "before").await;
    // Only another program can do this: what reads for this one never pauses.
    let other = rusqlite::Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM kv").unwrap();
    let bound = 8 << 20;
    let value = vec![b'v'; 100_000];
    let mut written = 0;
    loop {
        match store.txn(Txn::new().put("k", value.clone())).await {
            Ok(_) => written += 1,
            Err(StoreError::LogStuck { bytes }) => {
                assert!(bytes >= bound);
                break;
            }
            Err(other) => panic!("{other:?}"),
        }
        assert!(written < 1000, "the log has no bound");
    }
    let status = store.status().await.unwrap();
    assert!(status.wal_bytes < bound + (1 << 20), "{status:?}");
    assert_eq!(store.get(b"k").await.unwrap().unwrap().value, value, "reads go on");
    other.execute_batch("COMMIT").unwrap();
    put(&store, "k", "after").await;
    for _ in 0..20 {
        store.txn(Txn::new().put("k", value.clone())).await.unwrap();
    }
    let status = store.status().await.unwrap();
    assert!(status.wal_bytes <= 4 << 20, "{status:?}");
}

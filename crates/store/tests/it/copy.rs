//! Copies of a store in use, and what becomes of one.

use std::{path::Path, sync::Arc, sync::atomic::AtomicBool, sync::atomic::Ordering::Relaxed};

use drover_store::{ListOptions, OpenError, Options, Store, StoreError, Txn, copy_at_rest, revive};
use uuid::Uuid;

use super::{open, options, put, reopen};

/// A folder with this copy as its store.
fn placed(copy: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(copy, dir.path().join("store.db")).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_much_is_written_is_the_store_at_its_revision_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    for index in 0..500 {
        put(&*store, &format!("k/{index:03}"), "first").await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Relaxed) {
                    // Two keys of one transaction: a copy has both or neither.
                    let value = format!("{writer}/{written}");
                    let txn = Txn::new().put(format!("a/{writer}"), value.clone());
                    store.txn(txn.put(format!("b/{writer}"), value)).await.unwrap();
                    store.txn(Txn::new().delete(format!("k/{:03}", written % 500))).await.unwrap();
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut copies = Vec::new();
    for number in 0..5 {
        let to = dir.path().join(format!("copy-{number}"));
        copies.push((store.copy(&to).await.unwrap(), to));
    }
    stop.store(true, Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 0, "a writer was held up by the copies");
    }
    for (copied, to) in copies {
        let then = ListOptions { revision: Some(copied.revision), ..ListOptions::default() };
        let expected = match store.list(b"", then).await {
            Ok(page) => page.items,
            Err(error) => panic!("revision {} is not kept: {error}", copied.revision),
        };
        let dir = placed(&to);
        let copy = open(dir.path());
        let items = copy.list(b"", ListOptions::default()).await.unwrap().items;
        assert_eq!(items, expected);
        assert_eq!((items.len() as u64, copied.bytes), (copied.keys, std::fs::metadata(&to).unwrap().len()));
        let of = |key: String| items.iter().find(|item| item.key == key).map(|item| item.value.clone());
        for writer in 0..4 {
            assert_eq!(of(format!("a/{writer}")), of(format!("b/{writer}")));
        }
        let status = copy.status().await.unwrap();
        assert_eq!((status.revision, status.epoch), (copied.revision, copied.epoch));
    }
}

#[tokio::test]
async fn a_revived_copy_is_another_history_that_no_old_revision_reaches() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let revision = put(&store, "k", "before").await;
    let to = dir.path().join("copy");
    store.copy(&to).await.unwrap();
    let later = put(&store, "k", "after").await;
    let place = placed(&to);
    let epoch = Uuid::from_u128(7);
    let revived = revive(place.path(), &options(), epoch).unwrap();
    assert_eq!((revived.keys, revived.epoch), (1, epoch));
    let again = open(place.path());
    let held = again.get(b"k").await.unwrap().unwrap();
    assert_eq!((&held.value[..], held.mod_revision), (&b"before"[..], revision));
    let status = again.status().await.unwrap();
    assert_eq!((status.epoch, status.revision), (epoch, revived.revision));
    // Whoever followed the other history is told so, whether the copy knew the revision or not, now and for ever.
    for _ in 0..2 {
        for old in [revision, later] {
            assert!(matches!(again.watch(b"", old).await, Err(StoreError::Compacted { .. })), "{old}");
        }
        assert!(put(&again, "n", "new").await > later);
    }
    // And who holds an object of it cannot write by its revision.
    let stale = again.txn(Txn::new().when("k", later).put("k", "stale")).await.unwrap();
    assert!(matches!(stale, drover_store::TxnOutcome::Conflict { .. }));
}

#[tokio::test]
async fn a_store_at_rest_is_copied_checked_and_one_in_use_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "k", "v").await;
    let to = dir.path().join("copy");
    let refused = copy_at_rest(dir.path(), &options(), &to);
    assert!(matches!(refused, Err(OpenError::Locked { .. })), "{refused:?}");
    drop(store);
    let copied = loop {
        match copy_at_rest(dir.path(), &options(), &to) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            done => break done.unwrap(),
        }
    };
    assert_eq!((copied.keys, copied.revision), (1, 1));
    let nowhere = copy_at_rest(&dir.path().join("none"), &options(), &to);
    assert!(matches!(nowhere, Err(OpenError::Io { .. })), "{nowhere:?}");
}

#[tokio::test]
async fn a_copy_gives_up_before_its_hold_on_the_log_would_refuse_writes() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { wal_bytes: 1 << 20, ..options() };
    let store = reopen(dir.path(), small).unwrap();
    put(&store, "k", "v").await;
    // Another program that reads holds the log as a copy does.
    let other = rusqlite::Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM kv").unwrap();
    while store.status().await.unwrap().wal_bytes < 4 << 20 {
        store.txn(Txn::new().put("k", vec![b'v'; 100_000])).await.unwrap();
    }
    let copied = store.copy(&dir.path().join("copy")).await;
    assert!(matches!(copied, Err(StoreError::Overtaken { .. })), "{copied:?}");
    other.execute_batch("COMMIT").unwrap();
    for _ in 0..20 {
        store.txn(Txn::new().put("k", vec![b'w'; 100_000])).await.unwrap();
    }
    assert_eq!(store.copy(&dir.path().join("copy")).await.unwrap().keys, 1);
}

#[tokio::test]
async fn a_damaged_row_is_found_by_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "k", "value").await;
    rusqlite::Connection::open(store.path()).unwrap().execute("UPDATE kv SET value = x'00'", []).unwrap();
    let copied = store.copy(&dir.path().join("copy")).await;
    assert!(matches!(copied, Err(StoreError::Corrupt { .. })), "{copied:?}");
}

//! The watch cache.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use drover_store::{Cache, CacheOptions, Encoded, EventKind, ListOptions, Store, StoreError, Txn};

use super::{open, put};

fn plain() -> CacheOptions {
    CacheOptions::new(|kind, revision, value| {
        let bytes: Bytes = [&value[..], format!("@{revision}").as_bytes()].concat().into();
        Encoded { event: format!("{kind:?} {bytes:?}").into(), bytes }
    })
}

#[tokio::test]
async fn the_cache_shows_every_write_its_writer_knows_of() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a/1", "before").await;
    let cache = Cache::attach(&store, "a/", plain()).await.unwrap();
    assert_eq!(cache.get(b"a/1").unwrap().bytes, "before@1");
    for index in 0..50 {
        let revision = put(&store, "a/2", &index.to_string()).await;
        assert_eq!(cache.get(b"a/2").unwrap().mod_revision, revision);
        assert_eq!(cache.revision(), revision);
        cache.wait_for(revision).await;
    }
    put(&store, "b", "elsewhere").await;
    assert!(cache.get(b"b").is_none());
    assert_eq!(cache.snapshot(b"a/").1.len(), 2);
}

#[tokio::test]
async fn bytes_are_made_once_and_shared_by_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let made = Arc::new(AtomicU64::new(0));
    let options = {
        let made = made.clone();
        CacheOptions::new(move |_, _, value| {
            made.fetch_add(1, Relaxed);
            Encoded { bytes: value.clone(), event: value.clone() }
        })
    };
    let cache = Cache::attach(&store, "", options).await.unwrap();
    let mut watchers: Vec<_> = (0..5).map(|_| cache.watch(b"", 0, 8).unwrap()).collect();
    put(&store, "k", "v").await;
    let held = cache.get(b"k").unwrap();
    for watcher in &mut watchers {
        let event = watcher.next().await.unwrap();
        assert!(Arc::ptr_eq(&event.object, &held));
        assert_eq!(event.object.event.as_ptr(), held.event.as_ptr());
    }
    let found = store.get(b"k").await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&cache.object(&found), &held));
    assert_eq!(made.load(Relaxed), 1);
}

#[tokio::test]
async fn events_say_what_was_and_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let cache = Cache::attach(&store, "", plain()).await.unwrap();
    let mut watcher = cache.watch(b"k", 0, 8).unwrap();
    put(&store, "k", "one").await;
    put(&store, "k", "two").await;
    store.txn(Txn::new().delete("k")).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = watcher.try_next().unwrap() {
        let previous = event.previous.map(|object| object.bytes.clone());
        assert_eq!(event.object.event, format!("{:?} {:?}", event.kind, event.object.bytes));
        seen.push((event.revision, event.kind, event.object.bytes.clone(), previous));
    }
    assert_eq!(
        seen,
        [
            (1, EventKind::Created, "one@1".into(), None),
            (2, EventKind::Modified, "two@2".into(), Some("one@1".into())),
            (3, EventKind::Deleted, "two@3".into(), Some("two@2".into())),
        ]
    );
    assert_eq!(watcher.bookmark(), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_start_amid_writes_have_no_gap_and_no_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let cache = Cache::attach(&*store, "", plain()).await.unwrap();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for index in 0..400 {
                put(&*store, &format!("k/{}", index % 5), &index.to_string()).await;
            }
        })
    };
    let mut followers = Vec::new();
    for start in [0, 20, 100, 250] {
        cache.wait_for(start).await;
        let mut watcher = cache.watch(b"k/", start, 1000).unwrap();
        followers.push(tokio::spawn(async move {
            for revision in start + 1..=400 {
                assert_eq!(watcher.next().await.unwrap().revision, revision);
            }
        }));
    }
    writer.await.unwrap();
    for follower in followers {
        follower.await.unwrap();
    }
    assert_eq!(cache.metrics().watchers.load(Relaxed), 0);
}

#[tokio::test]
async fn a_slow_watcher_is_closed_and_stalls_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let cache = Cache::attach(&store, "", plain()).await.unwrap();
    let mut slow = cache.watch(b"", 0, 3).unwrap();
    let mut quick = cache.watch(b"", 0, 3).unwrap();
    for index in 0..10 {
        let revision = put(&store, "k", &index.to_string()).await;
        assert_eq!(quick.next().await.unwrap().revision, revision);
    }
    assert!(matches!(slow.next().await, Err(StoreError::Slow { capacity: 3 })));
    assert_eq!(cache.metrics().slow_closes.load(Relaxed), 1);
    assert_eq!(cache.metrics().watchers.load(Relaxed), 1);
}

#[tokio::test]
async fn who_follows_from_far_behind_is_not_cut_off_while_it_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let cache = Cache::attach(&store, "", CacheOptions { ring_events: 2000, ..plain() }).await.unwrap();
    let write = |index: u64| Txn::new().put("k", index.to_string()).put("other", "v");
    for index in 0..600 {
        store.txn(write(index)).await.unwrap();
    }
    let mut watcher = cache.watch(b"k", 0, 2).unwrap();
    let mut lazy = cache.watch(b"k", 0, 2).unwrap();
    // More than its queue takes, while it reads what was before.
    for index in 600..700 {
        store.txn(write(index)).await.unwrap();
    }
    assert_eq!(watcher.bookmark(), None);
    for index in 0..700 {
        assert_eq!(watcher.next().await.unwrap().revision, index + 1);
    }
    assert_eq!(watcher.bookmark(), Some(700));
    store.txn(write(700)).await.unwrap();
    assert_eq!(watcher.next().await.unwrap().revision, 701);
    // One that does not read at all loses what it waits for, not the server its memory.
    for index in 701..2000 {
        store.txn(write(index)).await.unwrap();
    }
    let ended = loop {
        if let Err(error) = lazy.next().await {
            break error;
        }
    };
    assert!(matches!(ended, StoreError::Compacted { .. }), "{ended:?}");
}

#[tokio::test]
async fn an_old_revision_is_served_while_the_ring_has_it_and_refused_after() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let cache = Cache::attach(&store, "", CacheOptions { ring_events: 10, ..plain() }).await.unwrap();
    for index in 0..30 {
        let txn = Txn::new()
            .put(format!("k/{}", index % 4), index.to_string())
            .delete(format!("k/{}", (index + 2) % 4));
        store.txn(txn).await.unwrap();
    }
    let at = |revision| ListOptions { revision: Some(revision), ..ListOptions::default() };
    for revision in 25..=30 {
        let stored = store.list(b"k/", at(revision)).await.unwrap();
        let cached = cache.list(b"k/", &at(revision)).unwrap();
        let stored: Vec<_> = stored.items.iter().map(|item| (&item.key, item.mod_revision)).collect();
        let cached: Vec<_> = cached.items.iter().map(|item| (&item.key, item.mod_revision)).collect();
        assert_eq!(stored, cached);
    }
    assert!(matches!(cache.list(b"k/", &at(24)), Err(StoreError::Compacted { compacted: 25 })));
    assert!(matches!(cache.watch(b"", 24, 8), Err(StoreError::Compacted { compacted: 25 })));
    assert!(matches!(cache.watch(b"", 31, 8), Err(StoreError::FutureRevision { current: 30, .. })));
}

#[tokio::test]
async fn a_watcher_resumes_across_a_restart_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for index in 0..20 {
        put(&store, "k", &index.to_string()).await;
    }
    store.txn(Txn::new().delete("k")).await.unwrap();
    drop(store);
    let store = open(dir.path());
    let cache = Cache::attach(&store, "", plain()).await.unwrap();
    let mut watcher = cache.watch(b"", 18, 8).unwrap();
    assert_eq!(watcher.next().await.unwrap().object.bytes, "18@19");
    assert_eq!(watcher.next().await.unwrap().object.bytes, "19@20");
    let gone = watcher.next().await.unwrap();
    assert_eq!((gone.kind, &gone.object.bytes[..]), (EventKind::Deleted, &b"19@21"[..]));
    drop(store);
    assert!(matches!(watcher.next().await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_broken_decoration_closes_its_watchers_and_loses_no_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let options = CacheOptions::new(|_, _, value| match &value[..] {
        b"bad" => panic!("as told"),
        _ => Encoded { bytes: value.clone(), event: value.clone() },
    });
    let cache = Cache::attach(&store, "", options).await.unwrap();
    let mut watcher = cache.watch(b"", 0, 8).unwrap();
    let answer = store.txn(Txn::new().put("k", "bad")).await;
    assert!(matches!(answer, Err(StoreError::Closed)));
    assert!(matches!(watcher.next().await, Err(StoreError::Closed)));
    drop(store);
    assert_eq!(open(dir.path()).get(b"k").await.unwrap().unwrap().value, "bad");
}

//! Those who follow and lag, while much is written and the past is let go of.

use std::sync::Arc;

use drover_store::{Cache, CacheOptions, Encoded, Options, Store, StoreError, Txn};

use super::{open, options, put, reopen};

/// How following ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With the last event.
    Complete,
    /// With an error that a server answers 410 to.
    Told,
}

fn plain() -> CacheOptions {
    CacheOptions::new(|_, _, value| Encoded { bytes: value.clone(), event: value.clone() })
}

fn told(error: &StoreError) -> End {
    assert!(matches!(error, StoreError::Compacted { .. } | StoreError::Slow { .. }), "{error:?}");
    End::Told
}

/// One event after the other, none left out, none twice: every revision is one event here.
fn follows(position: &mut u64, revision: u64) {
    assert_eq!(revision, *position + 1, "a gap, or something twice");
    *position = revision;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_06_of_1000_watchers_that_lag_while_the_past_goes_each_has_all_or_is_told() {
    const WRITES: u64 = 700;
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    for index in 0..200 {
        put(&*store, &format!("k/{index}"), "before").await;
    }
    let cache = Cache::attach(&*store, "k/", CacheOptions { ring_events: 500, ..plain() }).await.unwrap();
    let last = 200 + WRITES;
    let (begin, begun) = tokio::sync::watch::channel(());
    let ready = Arc::new(tokio::sync::Barrier::new(1001));
    let followers: Vec<_> = (0..1000_u64)
        .map(|number| {
            let (store, cache, mut begun) = (store.clone(), cache.clone(), begun.clone());
            let ready = ready.clone();
            tokio::spawn(async move {
                let mut position = number % 200;
                // A third of them sleep until all is over, with room for little; the others read as they can.
                let (sleeps, room) = if number % 3 == 0 { (true, 16) } else { (false, 4096) };
                if number % 2 == 0 {
                    let mut watcher = cache.watch(b"k/", position, room).unwrap();
                    ready.wait().await;
                    if sleeps {
                        begun.changed().await.unwrap();
                    }
                    loop {
                        match watcher.next().await {
                            Ok(event) => follows(&mut position, event.revision),
                            Err(error) => return (sleeps, told(&error)),
                        }
                        if position == last {
                            return (sleeps, End::Complete);
                        }
                    }
                }
                let mut watch = store.watch(b"k/", position).await.unwrap();
                ready.wait().await;
                if sleeps {
                    begun.changed().await.unwrap();
                }
                loop {
                    match watch.next().await.expect("an error before the end") {
                        Ok(commit) => follows(&mut position, commit.revision),
                        Err(error) => return (sleeps, told(&error)),
                    }
                    if position == last {
                        return (sleeps, End::Complete);
                    }
                }
            })
        })
        .collect();
    ready.wait().await;
    for write in 0..WRITES {
        let revision = put(&*store, &format!("k/{}", write % 50), "after").await;
        if write % 50 == 0 {
            store.compact(revision - 100).await.unwrap();
        }
    }
    begin.send(()).unwrap();
    let (mut complete, mut cut) = (0, 0);
    for follower in followers {
        match follower.await {
            Ok((sleeps, End::Complete)) => {
                assert!(!sleeps, "what was let go of was seen");
                complete += 1;
            }
            Ok((_, End::Told)) => cut += 1,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    assert_eq!(complete + cut, 1000);
    assert!(complete > 0 && cut >= 333, "{complete} have all, {cut} were told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_05_a_stuck_reader_holds_neither_log_nor_history_and_is_told_when_it_reads_on() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { wal_bytes: 1 << 20, keep_bytes: 1 << 20, ..options() };
    let store = reopen(dir.path(), small).unwrap();
    put(&store, "k", "first").await;
    let cache = Cache::attach(&store, "", CacheOptions { ring_bytes: 1 << 20, ..plain() }).await.unwrap();
    // Two that read nothing, and one that reads as it comes.
    let (mut stuck, mut past) = (cache.watch(b"", 0, 64).unwrap(), store.watch(b"", 0).await.unwrap());
    let mut quick = cache.watch(b"", 1, 64).unwrap();
    let value = vec![b'v'; 100_000];
    let (mut log, mut database) = (0, 0);
    for _ in 0..700 {
        let done = store.txn(Txn::new().put("k", value.clone())).await.unwrap();
        let drover_store::TxnOutcome::Committed { revision } = done else { panic!("{done:?}") };
        assert_eq!(quick.next().await.unwrap().revision, revision);
        let status = store.status().await.unwrap();
        (log, database) = (log.max(status.wal_bytes), database.max(status.db_bytes));
    }
    // Seventy megabytes went through.
    // At eight times its bound no write is let in before it has started over.
    assert!(log < 9 << 20, "the log had {log} bytes");
    assert!(database < 8 << 20, "the database had {database} bytes");
    let cut = loop {
        if let Err(error) = stuck.next().await {
            break error;
        }
    };
    assert_eq!(told(&cut), End::Told);
    let cut = loop {
        if let Err(error) = past.next().await.unwrap() {
            break error;
        }
    };
    assert_eq!(told(&cut), End::Told);
    assert!(matches!(cache.watch(b"", 1, 8), Err(StoreError::Compacted { .. })));
}

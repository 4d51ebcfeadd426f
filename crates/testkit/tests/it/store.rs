//! The store on a disk that crashes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use drover_store::{InlineStore, ListOptions, OpenError, Options, Store, StoreError, Txn, TxnOutcome};
use drover_testkit::disk::SimDisk;
use futures_util::FutureExt;
use futures_util::future::join_all;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

type State = BTreeMap<Bytes, Bytes>;

fn open(disk: &SimDisk) -> Result<InlineStore, OpenError> {
    let options = Options {
        vfs: Some(disk.vfs()),
        keep_revisions: 40,
        // Little, so that logs start over and history is trimmed in a short life.
        wal_bytes: 1 << 20,
        ..Options::new(|| 7)
    };
    InlineStore::open("/store.db", options)
}

/// What is known of a history: the state at each revision that was acknowledged or may have been reached.
#[derive(Default)]
struct Known {
    /// The newest that was acknowledged.
    acked: u64,
    state: State,
    /// Transactions that were not answered, or not with certainty, after that: in order, whole or absent.
    open: Vec<Txn>,
}

fn apply(state: &mut State, txn: &Txn) {
    for op in &txn.ops {
        match op {
            drover_store::Op::Put { key, value } => drop(state.insert(key.clone(), value.clone())),
            drover_store::Op::Delete { key } => drop(state.remove(key)),
        }
    }
}

/// Every transaction puts its own number, so that each of them changes something and takes a revision.
fn txn(rng: &mut ChaCha8Rng, number: u64) -> Txn {
    let mut txn = Txn::new().put("number", number.to_string());
    for key in 0..rng.next_u32() % 4 {
        let key = format!("k/{}", key * 5 + rng.next_u32() % 5);
        let len = if rng.next_u32().is_multiple_of(10) { 9000 } else { rng.next_u32() % 300 };
        txn = if rng.next_u32().is_multiple_of(3) {
            txn.delete(key)
        } else {
            txn.put(key, vec![rng.next_u32() as u8; len as usize])
        };
    }
    txn
}

/// A life of a store: batches until the disk freezes or there were so many. Says what became known, and whether the
/// store ended by itself.
async fn live(store: &InlineStore, known: &mut Known, rng: &mut ChaCha8Rng, batches: u32) -> bool {
    let mut number = known.acked;
    for _ in 0..batches {
        let txns: Vec<Txn> = (0..=rng.next_u32() % 3)
            .map(|_| {
                number += 1;
                txn(rng, number)
            })
            .collect();
        let answers = join_all(txns.iter().map(|txn| store.txn(txn.clone()))).await;
        for (txn, answer) in txns.into_iter().zip(answers) {
            match answer {
                Ok(TxnOutcome::Committed { revision }) => {
                    assert!(
                        known.open.is_empty(),
                        "an acknowledgement came after an error that ends writing"
                    );
                    assert_eq!(revision, known.acked + 1);
                    apply(&mut known.state, &txn);
                    known.acked = revision;
                }
                // Nothing of it was stored.
                Err(StoreError::DiskFull) => number = known.acked,
                Err(StoreError::Poisoned { .. }) => known.open.push(txn),
                other => panic!("{other:?}"),
            }
        }
        if !known.open.is_empty() {
            return true;
        }
    }
    false
}

/// Opens the store again and compares: what was acknowledged is there, what was not is there whole or not at all.
async fn check(disk: &SimDisk, known: &mut Known, what: &str) -> Result<InlineStore, String> {
    let store = match open(disk) {
        Ok(store) => store,
        Err(error) => return Err(format!("{what}: {error:?}")),
    };
    let page = store.list(b"", ListOptions::default()).await.map_err(|error| format!("{what}: {error:?}"))?;
    let found: State = page.items.into_iter().map(|item| (item.key, item.value)).collect();
    let mut state = known.state.clone();
    let mut revision = known.acked;
    for txn in std::iter::once(&Txn::new()).chain(&known.open) {
        apply(&mut state, txn);
        revision += u64::from(!txn.ops.is_empty());
        if page.revision == revision {
            if found != state {
                return Err(format!("{what}: revision {revision} is not what it was"));
            }
            *known = Known { acked: revision, state, open: Vec::new() };
            return Ok(store);
        }
    }
    Err(format!("{what}: revision {} after {} was acknowledged", page.revision, known.acked))
}

/// One history: so many lives, each frozen after a number of steps that `freeze` gives, with or without a power cut.
async fn history(
    disk: &SimDisk,
    seed: u64,
    lives: u32,
    batches: u32,
    mut freeze: impl FnMut(u32, &mut ChaCha8Rng) -> u64,
) -> Result<u64, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut known = Known::default();
    for life in 0..lives {
        disk.freeze_after(freeze(life, &mut rng));
        if let Ok(store) = open(disk) {
            live(&store, &mut known, &mut rng, batches).await;
            disk.freeze();
            drop(store);
        }
        disk.freeze();
        let power = rng.next_u32().is_multiple_of(2);
        disk.restart(power.then(|| ChaCha8Rng::seed_from_u64(rng.next_u64())).as_mut());
        let what = format!("seed {seed}, life {life}, power cut: {power}");
        drop(check(disk, &mut known, &what).await?);
    }
    Ok(known.acked)
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_store_after_a_crash_at_every_step_of_a_short_history() {
    let disk = SimDisk::default();
    history(&disk, 1, 1, 6, |_, _| u64::MAX).await.unwrap();
    let steps = disk.counters().operations;
    assert!(steps > 150, "{steps} steps");
    for step in 0..steps {
        for seed in 1..3 {
            history(&SimDisk::default(), seed, 1, 6, |_, _| step).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_store_after_any_crash() {
    let mut acked = 0;
    for seed in 0..25 {
        acked += history(&SimDisk::default(), seed, 8, 120, |_, rng| rng.next_u64() % 3000).await.unwrap();
    }
    assert!(acked > 2500, "{acked} transactions were acknowledged");
}

#[tokio::test]
async fn a_disk_that_lies_about_syncs_breaks_the_law() {
    let mut broken = 0;
    for seed in 0..20 {
        let disk = SimDisk::default();
        disk.set_syncs_lie(true);
        broken += u32::from(history(&disk, seed, 4, 30, |_, rng| rng.next_u64() % 1000).await.is_err());
    }
    assert!(broken > 10, "only {broken} of 20 histories noticed");
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_step_has_failed_under_a_write_and_all_before_it_is_kept() {
    let mut poisoned = 0;
    for seed in 0..150 {
        let disk = SimDisk::default();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut known = Known::default();
        let store = open(&disk).unwrap();
        live(&store, &mut known, &mut rng, 3).await;
        if seed % 2 == 0 {
            disk.fail_after(rng.next_u64() % 200);
        } else {
            disk.fail_syncs(1);
        }
        if live(&store, &mut known, &mut rng, 40).await {
            poisoned += 1;
            let again = store.txn(Txn::new().put("after", "v")).await;
            assert!(matches!(again, Err(StoreError::Poisoned { .. })), "seed {seed}: {again:?}");
            assert!(store.get(b"number").await.is_ok(), "seed {seed}: it reads on");
            assert_eq!(store.metrics().poisoned.load(std::sync::atomic::Ordering::Relaxed), 1);
        }
        disk.freeze();
        drop(store);
        disk.restart(Some(&mut rng));
        check(&disk, &mut known, &format!("seed {seed}")).await.unwrap();
    }
    assert!(poisoned > 75, "only {poisoned} of 150 met the failure");
}

#[tokio::test]
async fn a_full_disk_refuses_whole_transactions_and_takes_them_again_when_there_is_room() {
    for seed in 0..20 {
        let disk = SimDisk::default();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut known = Known::default();
        let store = open(&disk).unwrap();
        disk.set_capacity(Some(150_000 + rng.next_u64() % 200_000));
        let ended = live(&store, &mut known, &mut rng, 150).await;
        assert!(!ended, "seed {seed}: a full disk ends nothing");
        let refused = store.metrics().disk_full.load(std::sync::atomic::Ordering::Relaxed);
        assert!(refused > 0, "seed {seed}: it was never full");
        let before = known.acked;
        if seed % 2 == 0 {
            disk.set_capacity(None);
            assert!(!live(&store, &mut known, &mut rng, 5).await);
            assert!(known.acked > before, "seed {seed}: there is room and it is not used");
        }
        disk.freeze();
        drop(store);
        disk.restart(Some(&mut rng));
        disk.set_capacity(None);
        let store = check(&disk, &mut known, &format!("seed {seed}")).await.unwrap();
        assert!(!live(&store, &mut known, &mut rng, 5).await);
    }
}

/// A log without what SQLite draws by itself: the salts, and the checksums that follow from them.
fn unsalted(mut log: Vec<u8>) -> Vec<u8> {
    let page = 4096;
    if log.len() > 32 {
        log[16..32].fill(0);
    }
    let mut at = 32;
    while at + 24 <= log.len() {
        log[at + 8..at + 24].fill(0);
        at += 24 + page;
    }
    log
}

#[tokio::test]
async fn the_same_seed_leaves_the_same_store() {
    let told = |seed| async move {
        let disk = SimDisk::default();
        history(&disk, seed, 3, 30, |_, rng| rng.next_u64() % 2000).await.unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let store = open(&disk).unwrap();
        let mut known = Known { acked: store.status().await.unwrap().revision, ..Known::default() };
        live(&store, &mut known, &mut rng, 20).await;
        let read = |name: &str| drover_world::Disk::read(&disk, Path::new(name), 1 << 30).unwrap();
        (read("/store.db"), unsalted(read("/store.db-wal")), disk.counters())
    };
    let (one, two, other) = (told(3).await, told(3).await, told(4).await);
    assert!(one.2 == two.2, "{:?} and {:?}", one.2, two.2);
    assert!(one.0 == two.0, "the databases differ");
    assert!(one.1 == two.1, "the logs differ");
    assert!(one.1 != other.1);
}

#[tokio::test]
async fn transactions_of_one_turn_share_a_sync_and_one_that_is_dropped_is_done() {
    let disk = SimDisk::default();
    let store = Arc::new(open(&disk).unwrap());
    let syncs = || store.metrics().syncs.load(std::sync::atomic::Ordering::Relaxed);
    let before = syncs();
    let answers = join_all((0..20).map(|key| store.txn(Txn::new().put(format!("k/{key}"), "v")))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(syncs() - before, 1);
    // Polled once, then dropped: it waits in the queue, and its place there is given up.
    assert!(store.txn(Txn::new().put("dropped", "v")).now_or_never().is_none());
    assert_eq!(store.get(b"dropped").await.unwrap().unwrap().value, "v");
    // Never polled: never begun.
    drop(store.txn(Txn::new().put("never", "v")));
    assert!(store.get(b"never").await.unwrap().is_none());
}

#[tokio::test]
async fn a_watch_on_the_inline_store_has_the_past_and_what_follows() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    for key in 0..30 {
        store.txn(Txn::new().put(format!("k/{key}"), "v")).await.unwrap();
    }
    let mut watch = store.watch(b"k/", 3).await.unwrap();
    store.txn(Txn::new().put("k/30", "v")).await.unwrap();
    for revision in 4..=31 {
        assert_eq!(watch.next().await.unwrap().unwrap().revision, revision);
    }
    drop(store);
    assert!(matches!(watch.next().await, Some(Err(StoreError::Closed))));
}

#[tokio::test]
async fn a_second_connection_to_a_database_is_refused_while_the_first_lives() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    assert!(open(&disk).is_err());
    drop(store);
    let store = open(&disk).unwrap();
    disk.freeze();
    disk.thaw();
    // What the dead one had is nobody's any more.
    open(&disk).unwrap();
    drop(store);
}

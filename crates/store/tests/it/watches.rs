//! The threaded store against a list of its commits: watches from any revision, lists in pages at one revision, and
//! compare-and-swap on several keys, while writes, compactions and restarts go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use drover_store::{
    Change, ChangeKind, Commit, KeyValue, ListOptions, Options, SqliteStore, Store, StoreError, Txn,
    TxnOutcome, Watch,
};
use futures_util::FutureExt;
use proptest::prelude::*;

use super::{options, reopen};

const PREFIXES: [&str; 3] = ["", "a/", "b/"];

#[derive(Debug, Clone)]
enum Step {
    /// Guards, each right or wrong, and ops; an op without a value deletes.
    Write {
        guards: Vec<(u8, bool)>,
        ops: BTreeMap<u8, Option<u8>>,
    },
    Watch {
        back: u8,
        prefix: usize,
    },
    /// Walks a list to its end in pages of this size, with a write between every two.
    Pages {
        back: u8,
        prefix: usize,
        size: usize,
    },
    Compact {
        back: u8,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..8_u8;
    let ops = prop::collection::btree_map(key.clone(), prop::option::weighted(0.7, any::<u8>()), 0..5);
    let guards = prop::collection::vec((key, prop::bool::weighted(0.9)), 0..4);
    prop_oneof![
        10 => (guards, ops).prop_map(|(guards, ops)| Step::Write { guards, ops }),
        3 => (0..14_u8, 0..3_usize).prop_map(|(back, prefix)| Step::Watch { back, prefix }),
        2 => (0..14_u8, 0..3_usize, 1..4_usize).prop_map(|(back, prefix, size)| Step::Pages { back, prefix, size }),
        1 => (0..10_u8).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Reopen),
    ]
}

fn name(key: u8) -> Bytes {
    Bytes::from(format!("{}/{key}", if key < 5 { "a" } else { "b" }))
}

/// Every state there was, by revision, and the commit that led to each.
struct History {
    states: Vec<BTreeMap<Bytes, KeyValue>>,
    commits: Vec<Commit>,
    compacted: u64,
}

impl History {
    fn revision(&self) -> u64 {
        self.commits.len() as u64
    }

    fn now(&self) -> &BTreeMap<Bytes, KeyValue> {
        self.states.last().expect("there is revision 0")
    }

    fn held(&self, key: &Bytes) -> u64 {
        self.now().get(key).map_or(0, |found| found.mod_revision)
    }

    fn apply(&mut self, txn: &Txn) -> TxnOutcome {
        if let Some(wrong) = txn.compares.iter().find(|c| self.held(&c.key) != c.mod_revision) {
            return TxnOutcome::Conflict {
                key: wrong.key.clone(),
                current: self.now().get(&wrong.key).cloned(),
            };
        }
        let revision = self.revision() + 1;
        let (mut next, mut changes) = (self.now().clone(), Vec::new());
        for op in &txn.ops {
            let key = op.key().clone();
            let before = next.remove(&key);
            let create_revision = before.as_ref().map_or(revision, |found| found.create_revision);
            let kind = match (op, before) {
                (drover_store::Op::Put { value, .. }, _) => {
                    let (key, value) = (key.clone(), value.clone());
                    next.insert(
                        key.clone(),
                        KeyValue { key, value, create_revision, mod_revision: revision },
                    );
                    ChangeKind::Put { value: next[&op.key()[..]].value.clone() }
                }
                (drover_store::Op::Delete { .. }, Some(found)) => ChangeKind::Delete { last: found.value },
                (drover_store::Op::Delete { .. }, None) => continue,
            };
            changes.push(Change { key, create_revision, kind });
        }
        if changes.is_empty() {
            return TxnOutcome::Committed { revision: revision - 1 };
        }
        self.states.push(next);
        self.commits.push(Commit { revision, changes });
        TxnOutcome::Committed { revision }
    }

    /// What a watch of this prefix is told after `from`.
    fn told(&self, prefix: &str, from: u64) -> Vec<Commit> {
        let under = |commit: &Commit| {
            let of = commit.changes.iter().filter(|change| change.key.starts_with(prefix.as_bytes()));
            Commit { revision: commit.revision, changes: of.cloned().collect() }
        };
        let told = self.commits.iter().skip(from as usize).map(under);
        told.filter(|commit| !commit.changes.is_empty()).collect()
    }
}

/// One that follows, and what it has heard.
struct Follower {
    watch: Watch,
    prefix: usize,
    from: u64,
    heard: Vec<Commit>,
    /// Whether it was told that what it still had to read is not kept any more.
    cut_off: bool,
}

impl Follower {
    /// Hears all that there is to be told of by now.
    async fn catch_up(&mut self, history: &History) {
        let told = history.told(PREFIXES[self.prefix], self.from);
        while !self.cut_off && self.heard.len() < told.len() {
            let heard = self.watch.next().await.expect("it goes on");
            self.take(heard, history);
        }
        assert_eq!(self.heard, told[..self.heard.len()], "no gap, no repeat, rising");
        assert!(self.cut_off || self.heard.len() == told.len());
    }

    fn take(&mut self, heard: Result<Arc<Commit>, StoreError>, history: &History) {
        match heard {
            Ok(commit) => self.heard.push((*commit).clone()),
            Err(StoreError::Compacted { .. }) => {
                let read = self.heard.last().map_or(self.from, |commit| commit.revision);
                assert!(read < history.compacted, "what comes after {read} is kept");
                self.cut_off = true;
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// There is nothing else that it is told of.
    fn hears_no_more(&mut self, history: &History) {
        if let Some(heard) = self.watch.next().now_or_never().flatten() {
            self.take(heard, history);
            assert!(self.cut_off, "it is told of what never was");
        }
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: Option<SqliteStore>,
    history: History,
    followers: Vec<Follower>,
}

impl Bench {
    fn options() -> Options {
        Options { watch_capacity: 1024, ..options() }
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().expect("it is open")
    }

    async fn write(&mut self, txn: Txn) {
        let outcome = self.store().txn(txn.clone()).await.expect("valid");
        assert_eq!(outcome, self.history.apply(&txn));
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Write { guards, ops } => {
                let txn = guards.into_iter().fold(Txn::new(), |txn, (key, right)| {
                    let held = self.history.held(&name(key));
                    txn.when(name(key), if right { held } else { held + 1 })
                });
                let txn = ops.into_iter().fold(txn, |txn, (key, value)| match value {
                    Some(value) => txn.put(name(key), vec![value; 9]),
                    None => txn.delete(name(key)),
                });
                self.write(txn).await;
            }
            Step::Watch { back, prefix } => {
                let from = self.history.revision().saturating_sub(back.into());
                let watch = self.store().watch(PREFIXES[prefix].as_bytes(), from).await;
                match watch {
                    Err(StoreError::Compacted { compacted }) => {
                        assert!(from < self.history.compacted, "{from} is kept");
                        assert_eq!(compacted, self.history.compacted);
                    }
                    watch => {
                        assert!(from >= self.history.compacted, "{from} is not kept any more");
                        let watch = watch.expect("it begins");
                        self.followers.push(Follower {
                            watch,
                            prefix,
                            from,
                            heard: Vec::new(),
                            cut_off: false,
                        });
                    }
                }
            }
            Step::Pages { back, prefix, size } => self.walk(back, PREFIXES[prefix], size).await,
            Step::Compact { back } => {
                // Who has not read what is let go of is cut off, and is told so; most have.
                for follower in &mut self.followers {
                    follower.catch_up(&self.history).await;
                }
                let revision = self.history.revision().saturating_sub(back.into());
                self.store().compact(revision).await.expect("compaction");
                self.history.compacted = self.history.compacted.max(revision);
            }
            Step::Reopen => {
                for mut follower in std::mem::take(&mut self.followers) {
                    follower.catch_up(&self.history).await;
                }
                drop(self.store.take());
                self.store = Some(reopen(self.dir.path(), Self::options()).expect("it opens again"));
            }
        }
        let status = self.store().status().await.expect("a status");
        assert_eq!((status.revision, status.compacted), (self.history.revision(), self.history.compacted));
    }

    async fn walk(&mut self, back: u8, prefix: &str, size: usize) {
        let revision = self.history.revision().saturating_sub(back.into());
        let mut options = ListOptions { revision: Some(revision), limit: size, start_after: None };
        let mut found: Vec<KeyValue> = Vec::new();
        loop {
            let page = self.store().list(prefix.as_bytes(), options.clone()).await;
            if revision < self.history.compacted {
                assert!(matches!(page, Err(StoreError::Compacted { .. })), "{page:?}");
                return;
            }
            let page = page.expect("a kept revision lists");
            assert_eq!(page.revision, revision);
            assert!(page.items.len() <= size);
            options.start_after = page.items.last().map(|found| found.key.clone());
            found.extend(page.items);
            if !page.more {
                assert_eq!(page.remaining, 0);
                break;
            }
            self.write(Txn::new().put("a/2", "between two pages").delete("b/6")).await;
        }
        let under = |found: &&KeyValue| found.key.starts_with(prefix.as_bytes());
        let expected: Vec<KeyValue> =
            self.history.states[revision as usize].values().filter(under).cloned().collect();
        assert_eq!(found, expected, "a list in pages is of one moment");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_follows_hears_every_commit_once_in_order_and_pages_are_of_one_moment(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().expect("a directory");
            let store = Some(reopen(dir.path(), Bench::options()).expect("it opens"));
            let history = History { states: vec![BTreeMap::new()], commits: Vec::new(), compacted: 0 };
            let mut bench = Bench { dir, store, history, followers: Vec::new() };
            for step in steps {
                bench.take(step).await;
            }
            for follower in &mut bench.followers {
                follower.catch_up(&bench.history).await;
                follower.hears_no_more(&bench.history);
            }
        });
    }
}

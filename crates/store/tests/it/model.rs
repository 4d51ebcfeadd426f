//! The engine against a model: a map of every key's history.

use std::collections::BTreeMap;

use bytes::Bytes;
use drover_store::{ChangeKind, Engine, KeyValue, ListOptions, Op, Options, StoreError, Txn, TxnOutcome};
use proptest::prelude::*;

type State = BTreeMap<Bytes, KeyValue>;

/// The state at each revision; the index is the revision.
struct Model {
    states: Vec<State>,
    compacted: u64,
}

impl Model {
    fn now(&self) -> &State {
        self.states.last().expect("there is revision 0")
    }

    fn apply(&mut self, txn: &Txn) -> TxnOutcome {
        for compare in &txn.compares {
            let current = self.now().get(&compare.key).cloned();
            if current.as_ref().map_or(0, |found| found.mod_revision) != compare.mod_revision {
                return TxnOutcome::Conflict { key: compare.key.clone(), current };
            }
        }
        let revision = self.states.len() as u64;
        let (mut next, mut changed) = (self.now().clone(), false);
        for op in &txn.ops {
            match op {
                Op::Put { key, value } => {
                    let create_revision = next.get(key).map_or(revision, |found| found.create_revision);
                    let (key, value) = (key.clone(), value.clone());
                    next.insert(
                        key.clone(),
                        KeyValue { key, value, create_revision, mod_revision: revision },
                    );
                    changed = true;
                }
                Op::Delete { key } => changed |= next.remove(key).is_some(),
            }
        }
        if !changed {
            return TxnOutcome::Committed { revision: revision - 1 };
        }
        self.states.push(next);
        TxnOutcome::Committed { revision }
    }
}

/// A guard (right or wrong) and ops, by key; an op without a value deletes.
type Drawn = (Option<(u8, bool)>, Vec<(u8, Option<u8>)>);

#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<Drawn>),
    List { back: u8, limit: u8, after: Option<u8> },
    Replay { back: u8 },
    Compact { back: u8 },
    Maintain,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u8..6;
    let op = (key.clone(), proptest::option::weighted(0.7, any::<u8>()));
    let txn = (proptest::option::of((key.clone(), any::<bool>())), prop::collection::vec(op, 0..4));
    prop_oneof![
        6 => prop::collection::vec(txn, 1..5).prop_map(Step::Batch),
        3 => (0u8..12, 0u8..4, proptest::option::of(key)).prop_map(|(back, limit, after)| Step::List { back, limit, after }),
        2 => (0u8..12).prop_map(|back| Step::Replay { back }),
        1 => (0u8..8).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
    ]
}

fn name(key: u8) -> Bytes {
    Bytes::from(format!("{}/{key}", if key < 4 { "a" } else { "b" }))
}

fn check(steps: Vec<Step>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("engine.db");
    let open = || Engine::open(&path, Options { keep_revisions: 30, ..super::options() }).expect("it opens");
    let mut engine = open();
    let mut model = Model { states: vec![State::new()], compacted: 0 };
    for step in steps {
        match step {
            Step::Batch(batch) => {
                let txns: Vec<Txn> = batch
                    .into_iter()
                    .map(|(guard, ops)| {
                        let mut txn = Txn::new();
                        if let Some((key, right)) = guard {
                            let held = model.now().get(&name(key)).map_or(0, |found| found.mod_revision);
                            txn = txn.when(name(key), if right { held } else { held + 1 });
                        }
                        let ops: BTreeMap<u8, Option<u8>> = ops.into_iter().collect();
                        ops.into_iter().fold(txn, |txn, (key, value)| match value {
                            Some(value) => txn.put(name(key), vec![value; 40]),
                            None => txn.delete(name(key)),
                        })
                    })
                    .collect();
                let applied = engine.apply(&txns).expect("the batch is stored");
                for (txn, outcome) in txns.iter().zip(applied.outcomes) {
                    assert_eq!(outcome.expect("valid"), model.apply(txn));
                }
                assert_eq!(engine.revision() + 1, model.states.len() as u64);
            }
            Step::List { back, limit, after } => {
                let revision = engine.revision().saturating_sub(back.into());
                let after = after.map(name);
                let options =
                    ListOptions { revision: Some(revision), limit: limit.into(), start_after: after.clone() };
                let page = engine.list(b"a/", &options);
                if revision < model.compacted {
                    assert!(
                        matches!(page, Err(StoreError::Compacted { compacted }) if compacted == model.compacted)
                    );
                    continue;
                }
                let page = page.expect("a kept revision lists");
                let mut items: Vec<KeyValue> = model.states[revision as usize]
                    .values()
                    .filter(|found| {
                        found.key.starts_with(b"a/") && after.as_ref().is_none_or(|after| found.key > *after)
                    })
                    .cloned()
                    .collect();
                let left = if limit == 0 { 0 } else { items.len().saturating_sub(limit.into()) };
                items.truncate(items.len() - left);
                assert_eq!((page.items, page.revision), (items, revision));
                assert_eq!((page.more, page.remaining), (left > 0, left as u64));
            }
            Step::Replay { back } => {
                let from = engine.revision().saturating_sub(back.into());
                if from < model.compacted {
                    assert!(matches!(engine.changes(b"", from, 3), Err(StoreError::Compacted { .. })));
                    continue;
                }
                let mut state = model.states[from as usize].clone();
                let mut position = from;
                while position < engine.revision() {
                    let (commits, reached) = engine.changes(b"", position, 3).expect("kept");
                    for commit in commits {
                        for change in commit.changes {
                            match change.kind {
                                ChangeKind::Put { value } => {
                                    let found = KeyValue {
                                        key: change.key.clone(),
                                        value,
                                        create_revision: change.create_revision,
                                        mod_revision: commit.revision,
                                    };
                                    state.insert(change.key, found);
                                }
                                ChangeKind::Delete { last } => {
                                    assert_eq!(state.remove(&change.key).expect("it was there").value, last);
                                }
                            }
                        }
                        assert_eq!(state, model.states[commit.revision as usize]);
                    }
                    position = reached;
                }
                assert_eq!(&state, model.now());
            }
            Step::Compact { back } => {
                let revision = engine.revision().saturating_sub(back.into());
                engine.compact(revision).expect("compaction");
                model.compacted = model.compacted.max(revision);
            }
            Step::Maintain => while engine.maintain().expect("upkeep").1 {},
            Step::Reopen => {
                drop(engine);
                engine = open();
            }
        }
        let compacted = engine.status().compacted;
        assert!(compacted >= model.compacted);
        model.compacted = compacted;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_is_a_map_that_remembers(steps in prop::collection::vec(step(), 1..40)) {
        check(steps);
    }
}

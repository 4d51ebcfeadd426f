//! Assignments by workload and by node, kept up with each change, and with what this process itself has written.
//!
//! A workload with a `count` must not be planned on a copy that lacks what was just created for it: a second choice
//! on other nodes would be one too many. So the answer to a write is taken in at once, and a change from the watch
//! that is older does not undo it. What is about to be created is taken in before: if no answer comes, it is looked
//! up before the workload is planned again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_client::{Change, Key};
use drover_types::kinds::Assignment;
use tokio::time::Instant;

use crate::api::key_of;

/// A write that the watch has not shown after this long is looked up: a fresh list may have skipped what came of it.
const DOUBT_AFTER: Duration = Duration::from_secs(30);

struct Entry {
    object: Arc<Assignment>,
    revision: u64,
    origin: Origin,
}

/// How an entry is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The watch showed it.
    Watched,
    /// The server answered a write with it, and the watch has not shown it yet.
    Written(Instant),
    /// It was asked for, and there is no answer.
    Asked,
}

#[derive(Default)]
struct State {
    all: BTreeMap<Key, Entry>,
    by_workload: BTreeMap<String, BTreeSet<Key>>,
    by_node: BTreeMap<String, BTreeSet<Key>>,
}

/// The index. Its lock is held for one operation at a time.
#[derive(Default)]
pub(crate) struct AssignmentIndex(Mutex<State>);

fn revision(object: &Assignment) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl AssignmentIndex {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the watch shows.
    pub(crate) fn observe(&self, change: &Change<'_, Assignment>) {
        let mut state = self.lock();
        match (change.new, change.old) {
            (Some(new), _) => state.put(change.key, Arc::clone(new), Origin::Watched),
            // A uid never comes back, but a later object of the same name may already be known.
            (None, Some(old)) => state.remove(change.key, &old.metadata.uid),
            (None, None) => {}
        }
    }

    /// Takes in the answer to a write.
    pub(crate) fn assume(&self, written: Assignment) {
        let origin = Origin::Written(Instant::now());
        self.lock().put(&key_of(&written.metadata), Arc::new(written), origin);
    }

    /// Takes in what is about to be created. It has no uid yet.
    pub(crate) fn ask(&self, wanted: &Assignment) {
        let key = key_of(&wanted.metadata);
        let mut state = self.lock();
        if !state.all.contains_key(&key) {
            state.put(&key, Arc::new(wanted.clone()), Origin::Asked);
        }
    }

    /// Forgets what was asked for and refused.
    pub(crate) fn refused(&self, wanted: &Assignment) {
        self.lock().remove(&key_of(&wanted.metadata), "");
    }

    /// Forgets what is known to be gone.
    pub(crate) fn forget(&self, key: &Key, uid: &str) {
        self.lock().remove(key, uid);
    }

    /// One of them.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Assignment>> {
        self.lock().all.get(key).map(|entry| Arc::clone(&entry.object))
    }

    /// Those of a workload, by name.
    pub(crate) fn of_workload(&self, uid: &str) -> Vec<Arc<Assignment>> {
        let state = self.lock();
        let keys = state.by_workload.get(uid).into_iter().flatten();
        keys.filter_map(|key| state.all.get(key)).map(|entry| Arc::clone(&entry.object)).collect()
    }

    /// Those of a workload that were asked for without an answer, or written a while ago and never shown by the watch.
    pub(crate) fn doubtful(&self, uid: &str) -> Vec<Arc<Assignment>> {
        let state = self.lock();
        let keys = state.by_workload.get(uid).into_iter().flatten();
        keys.filter_map(|key| state.all.get(key))
            .filter(|entry| match entry.origin {
                Origin::Watched => false,
                Origin::Written(since) => since.elapsed() >= DOUBT_AFTER,
                Origin::Asked => true,
            })
            .map(|entry| Arc::clone(&entry.object))
            .collect()
    }

    /// Keys of those on a node.
    pub(crate) fn on_node(&self, node: &str) -> Vec<Key> {
        self.lock().by_node.get(node).into_iter().flatten().cloned().collect()
    }

    /// Every key.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.lock().all.keys().cloned().collect()
    }
}

impl State {
    fn put(&mut self, key: &Key, object: Arc<Assignment>, origin: Origin) {
        let revision = revision(&object);
        if let Some(held) = self.all.get(key) {
            // Two things that the watch shows come in order, also where a restored store counts from less.
            let in_order = origin == Origin::Watched && held.origin == Origin::Watched;
            if held.revision > revision && !in_order {
                return;
            }
            self.unlink(key);
        }
        self.by_workload.entry(object.spec.workload_ref.uid.clone()).or_default().insert(key.clone());
        self.by_node.entry(object.spec.node_name.clone()).or_default().insert(key.clone());
        self.all.insert(key.clone(), Entry { object, revision, origin });
    }

    fn remove(&mut self, key: &Key, uid: &str) {
        if self.all.get(key).is_some_and(|held| held.object.metadata.uid == uid) {
            self.unlink(key);
        }
    }

    fn unlink(&mut self, key: &Key) {
        let Some(held) = self.all.remove(key) else { return };
        unlink(&mut self.by_workload, &held.object.spec.workload_ref.uid, key);
        unlink(&mut self.by_node, &held.object.spec.node_name, key);
    }
}

/// Takes a key out of a set of an index, and the set with it when it is empty.
pub(super) fn unlink<K: Ord + Clone, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, at: &K, value: &V) {
    if let Some(set) = index.get_mut(at) {
        set.remove(value);
        if set.is_empty() {
            index.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_types::ObjectMeta;
    use drover_types::kinds::assignment::{AssignmentSpec, WorkloadRef};

    fn assignment(uid: &str, revision: u64) -> Assignment {
        let workload_ref = WorkloadRef { uid: "w".into(), ..WorkloadRef::default() };
        Assignment {
            api_version: String::new(),
            kind: String::new(),
            metadata: ObjectMeta {
                name: "a".into(),
                namespace: Some("n".into()),
                uid: uid.into(),
                resource_version: Some(revision.to_string()),
                ..ObjectMeta::default()
            },
            spec: AssignmentSpec { node_name: "x".into(), workload_ref, ..AssignmentSpec::default() },
            status: None,
        }
    }

    fn key() -> Key {
        Key { namespace: "n".into(), name: "a".into() }
    }

    fn show(index: &AssignmentIndex, old: Option<Assignment>, new: Option<Assignment>) {
        let (old, new) = (old.map(Arc::new), new.map(Arc::new));
        index.observe(&Change { key: &key(), old: old.as_ref(), new: new.as_ref() });
    }

    #[tokio::test]
    async fn what_was_written_is_not_undone_by_a_watch_that_is_late() {
        let index = AssignmentIndex::default();
        index.assume(assignment("u", 9));
        show(&index, None, Some(assignment("u", 5)));
        assert_eq!(revision(&index.get(&key()).unwrap()), 9);
        show(&index, Some(assignment("u", 5)), Some(assignment("u", 9)));
        show(&index, Some(assignment("u", 9)), None);
        assert_eq!((index.get(&key()), index.of_workload("w")), (None, vec![]));
    }

    #[tokio::test]
    async fn the_end_of_a_namesake_does_not_end_its_successor() {
        let index = AssignmentIndex::default();
        show(&index, None, Some(assignment("old", 3)));
        index.assume(assignment("new", 7));
        show(&index, Some(assignment("old", 3)), None);
        assert_eq!(index.of_workload("w")[0].metadata.uid, "new");
        assert_eq!(index.on_node("x"), [key()]);
    }

    #[tokio::test]
    async fn what_was_asked_for_without_an_answer_is_doubted_until_there_is_one() {
        let index = AssignmentIndex::default();
        index.ask(&assignment("", 0));
        assert_eq!(index.doubtful("w").len(), 1);
        index.assume(assignment("u", 9));
        index.refused(&assignment("", 0));
        assert_eq!((index.of_workload("w").len(), index.doubtful("w").len()), (1, 0));
        show(&index, Some(assignment("u", 9)), None);
        index.ask(&assignment("", 0));
        index.refused(&assignment("", 0));
        assert!(index.of_workload("w").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_watch_never_shows_is_doubted() {
        let index = AssignmentIndex::default();
        index.assume(assignment("u", 9));
        assert!(index.doubtful("w").is_empty());
        tokio::time::advance(DOUBT_AFTER).await;
        assert_eq!(index.doubtful("w").len(), 1);
        show(&index, None, Some(assignment("u", 9)));
        assert!(index.doubtful("w").is_empty());
    }
}

//! Who owns what: objects by uid, and the dependents of each uid, over all kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use drover_client::Key;
use drover_types::{Kind, ObjectMeta};

use super::assignments::unlink;

/// An object of any kind.
pub(crate) type Id = (Kind, Key);

#[derive(Default)]
struct State {
    by_uid: BTreeMap<String, Id>,
    dependents: BTreeMap<String, BTreeSet<Id>>,
    /// Namespaces that are going.
    terminating: BTreeSet<String>,
}

/// The graph. Its lock is held for one operation at a time.
#[derive(Default)]
pub(crate) struct Graph(Mutex<State>);

impl Graph {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a change of an object.
    pub(crate) fn observe(&self, id: &Id, old: Option<&ObjectMeta>, new: Option<&ObjectMeta>) {
        let mut state = self.lock();
        if let Some(old) = old {
            if state.by_uid.get(&old.uid).is_some_and(|held| held == id) {
                state.by_uid.remove(&old.uid);
            }
            for owner in &old.owner_references {
                unlink(&mut state.dependents, &owner.uid, id);
            }
        }
        if let Some(new) = new {
            state.by_uid.insert(new.uid.clone(), id.clone());
            for owner in &new.owner_references {
                state.dependents.entry(owner.uid.clone()).or_default().insert(id.clone());
            }
        }
        if id.0 == Kind::Namespace {
            state.terminating.remove(&id.1.name);
            if new.is_some_and(|new| new.deletion_timestamp.is_some()) {
                state.terminating.insert(id.1.name.clone());
            }
        }
    }

    /// The object with a uid.
    pub(crate) fn find(&self, uid: &str) -> Option<Id> {
        self.lock().by_uid.get(uid).cloned()
    }

    /// Whether any of an object's owners is there.
    pub(crate) fn has_owner(&self, object: &ObjectMeta) -> bool {
        let state = self.lock();
        object.owner_references.iter().any(|owner| state.by_uid.contains_key(&owner.uid))
    }

    /// What is owned by a uid.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Id> {
        self.lock().dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Everything that is owned by something.
    pub(crate) fn owned(&self) -> BTreeSet<Id> {
        self.lock().dependents.values().flatten().cloned().collect()
    }

    /// Every object.
    pub(crate) fn all(&self) -> Vec<Id> {
        self.lock().by_uid.values().cloned().collect()
    }

    /// Whether a namespace is going.
    pub(crate) fn is_terminating(&self, namespace: &str) -> bool {
        self.lock().terminating.contains(namespace)
    }
}

//! What each node is to hold, kept up to date from the changes of the store. No I/O: changes go in, views come out.
//!
//! Beside the present it keeps a bounded log of what nodes ceased to need, so that a node that comes back with a
//! revision learns what went meanwhile. Where the log does not reach that far back, the node gets everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use drover_mutants::{Mutant, active};
use drover_store::{Event, EventKind, Object};
use drover_types::kinds::{Assignment, Node, NodePool};
use drover_types::references::references;
use drover_types::{Duration, Kind};
use drover_wire::{MaterialKind, MaterialRef, PoolSettings};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::desired::{Sent, View};

/// How much of the past is kept.
const LOG: usize = 20_000;
/// Where no pool says otherwise.
const OFFLINE_AFTER: Duration = Duration::from_secs(60);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    Assignments,
    Secrets,
    ConfigMaps,
    Nodes,
    Pools,
}

impl Watched {
    pub(crate) const ALL: [Self; 5] =
        [Self::Nodes, Self::Pools, Self::Secrets, Self::ConfigMaps, Self::Assignments];

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Assignments => Kind::Assignment,
            Self::Secrets => Kind::Secret,
            Self::ConfigMaps => Kind::ConfigMap,
            Self::Nodes => Kind::Node,
            Self::Pools => Kind::NodePool,
        }
    }
}

/// Whom changes concern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Concerned {
    /// Names of nodes whose desired state may have changed.
    pub(crate) nodes: BTreeSet<String>,
    /// Names and uids of Nodes that are gone or going.
    pub(crate) gone: BTreeSet<(String, String)>,
}

#[derive(Debug)]
struct Assigned {
    uid: String,
    node: String,
    workload: String,
    /// The revision at which anything but its status last changed.
    content: u64,
    references: BTreeSet<MaterialRef>,
    object: Arc<Object>,
}

#[derive(Debug)]
struct Host {
    uid: String,
    /// The revision that created the Node. What was assigned to an earlier one of its name is none of its own.
    created: u64,
    pool: Option<String>,
}

/// What a node ceased to need.
#[derive(Debug)]
struct Past {
    revision: u64,
    removed: Option<String>,
    references: BTreeSet<MaterialRef>,
}

/// Everything that nodes are to hold.
#[derive(Debug, Default)]
pub(crate) struct Index {
    revision: u64,
    /// The log has everything after this revision.
    floor: u64,
    assignments: BTreeMap<Bytes, Assigned>,
    by_node: BTreeMap<String, BTreeSet<Bytes>>,
    materials: BTreeMap<MaterialRef, Arc<Object>>,
    /// Which nodes name a material, and how many of their Assignments do.
    users: BTreeMap<MaterialRef, BTreeMap<String, usize>>,
    hosts: BTreeMap<String, Host>,
    pools: BTreeMap<String, PoolSettings>,
    log: BTreeMap<String, VecDeque<Past>>,
    /// The log's order: whose entry is the next to go, and its revision.
    order: VecDeque<(u64, String)>,
}

impl Index {
    /// An index that knows nothing before `floor`.
    pub(crate) fn new(floor: u64) -> Self {
        Self { revision: floor, floor, ..Self::default() }
    }

    /// Everything up to this revision has been applied.
    pub(crate) fn reached(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// Takes in what was there at the beginning.
    pub(crate) fn begin(&mut self, watched: Watched, object: Arc<Object>) {
        let event = Event { revision: object.mod_revision, kind: EventKind::Created, object, previous: None };
        self.apply(watched, &event, &mut Concerned::default());
    }

    /// Takes in one change, and adds whom it concerns.
    pub(crate) fn apply(&mut self, watched: Watched, event: &Event, concerned: &mut Concerned) {
        match watched {
            Watched::Assignments => self.apply_assignment(event, concerned),
            Watched::Secrets => self.apply_material(MaterialKind::Secret, event, concerned),
            Watched::ConfigMaps => self.apply_material(MaterialKind::ConfigMap, event, concerned),
            Watched::Nodes => self.apply_node(event, concerned),
            Watched::Pools => self.apply_pool(event, concerned),
        }
    }

    fn apply_assignment(&mut self, event: &Event, concerned: &mut Concerned) {
        let key = &event.object.key;
        let same = event.previous.as_ref().is_some_and(|old| same_content(&old.bytes, &event.object.bytes));
        if event.kind == EventKind::Modified
            && same
            && let Some(held) = self.assignments.get_mut(key)
        {
            // Its node wrote its status: no news to the node.
            held.object = event.object.clone();
            return;
        }
        let old = self.assignments.remove(key);
        if let Some(old) = &old {
            self.unlink(old, key);
            concerned.nodes.insert(old.node.clone());
        }
        let new = (event.kind != EventKind::Deleted).then(|| assigned(event)).flatten();
        if let Some(new) = &new {
            self.link(new, key);
            concerned.nodes.insert(new.node.clone());
        }
        if let Some(old) = old {
            let removed = new.as_ref().is_none_or(|new| new.uid != old.uid).then_some(old.uid);
            let references = match &new {
                Some(new) if new.references == old.references => BTreeSet::new(),
                _ => old.references,
            };
            if removed.is_some() || !references.is_empty() {
                self.remember(old.node, Past { revision: event.revision, removed, references });
            }
        }
        if let Some(new) = new {
            self.assignments.insert(key.clone(), new);
        }
    }

    fn link(&mut self, new: &Assigned, key: &Bytes) {
        self.by_node.entry(new.node.clone()).or_default().insert(key.clone());
        for reference in &new.references {
            *self.users.entry(reference.clone()).or_default().entry(new.node.clone()).or_default() += 1;
        }
    }

    fn unlink(&mut self, old: &Assigned, key: &Bytes) {
        if let Some(keys) = self.by_node.get_mut(&old.node) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_node.remove(&old.node);
            }
        }
        for reference in &old.references {
            let Some(nodes) = self.users.get_mut(reference) else { continue };
            if let Some(count) = nodes.get_mut(&old.node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&old.node);
                }
            }
            if nodes.is_empty() {
                self.users.remove(reference);
            }
        }
    }

    fn remember(&mut self, node: String, past: Past) {
        self.order.push_back((past.revision, node.clone()));
        self.log.entry(node).or_default().push_back(past);
        while self.order.len() > LOG {
            let Some((revision, node)) = self.order.pop_front() else { break };
            self.floor = self.floor.max(revision);
            if let Some(entries) = self.log.get_mut(&node) {
                entries.pop_front();
                if entries.is_empty() {
                    self.log.remove(&node);
                }
            }
        }
    }

    fn apply_material(&mut self, kind: MaterialKind, event: &Event, concerned: &mut Concerned) {
        let Some(reference) = material_ref(kind, &event.object.key) else { return };
        if let Some(nodes) = self.users.get(&reference) {
            concerned.nodes.extend(nodes.keys().cloned());
        }
        if event.kind == EventKind::Deleted {
            self.materials.remove(&reference);
        } else {
            self.materials.insert(reference, event.object.clone());
        }
    }

    fn apply_node(&mut self, event: &Event, concerned: &mut Concerned) {
        let Some(node) = decode::<Node>(&event.object) else { return };
        let (name, uid) = (node.metadata.name, node.metadata.uid);
        if event.kind == EventKind::Deleted || node.metadata.deletion_timestamp.is_some() {
            self.hosts.remove(&name);
            concerned.gone.insert((name, uid));
            return;
        }
        let pool = node.status.and_then(|status| status.pool);
        let host = Host { uid, created: event.object.create_revision, pool };
        let old = self.hosts.get(&name);
        if old.is_none_or(|old| old.pool != host.pool || old.uid != host.uid) {
            concerned.nodes.insert(name.clone());
        }
        self.hosts.insert(name, host);
    }

    fn apply_pool(&mut self, event: &Event, concerned: &mut Concerned) {
        let Some(pool) = decode::<NodePool>(&event.object) else { return };
        let name = pool.metadata.name;
        let settings = PoolSettings {
            lanes: pool.spec.lanes,
            offline_after_ms: pool.spec.offline_after.unwrap_or(OFFLINE_AFTER).as_millis(),
        };
        let changed = match event.kind {
            EventKind::Deleted => self.pools.remove(&name).is_some(),
            _ => self.pools.insert(name.clone(), settings.clone()) != Some(settings),
        };
        if changed {
            let inside = self.hosts.iter().filter(|(_, host)| host.pool.as_deref() == Some(&*name));
            concerned.nodes.extend(inside.map(|(node, _)| node.clone()));
        }
    }

    /// Whether the Node of this name is there and has this uid.
    pub(crate) fn hosts(&self, node: &str, uid: &str) -> bool {
        self.hosts.get(node).is_some_and(|host| host.uid == uid)
    }

    /// Whether the node has an Assignment of this workload.
    pub(crate) fn has_workload(&self, node: &str, workload: &str) -> bool {
        self.of_node(node).any(|assigned| assigned.workload == workload)
    }

    /// What the node's pool says.
    pub(crate) fn pool(&self, node: &str) -> PoolSettings {
        let pool = self.hosts.get(node).and_then(|host| self.pools.get(host.pool.as_ref()?));
        pool.cloned().unwrap_or_else(|| PoolSettings {
            offline_after_ms: OFFLINE_AFTER.as_millis(),
            ..PoolSettings::default()
        })
    }

    fn of_node(&self, node: &str) -> impl Iterator<Item = &Assigned> {
        let created = self.hosts.get(node).map(|host| host.created);
        let keys = self.by_node.get(node).into_iter().flatten();
        keys.filter_map(|key| self.assignments.get(key))
            .filter(move |assigned| created.is_some_and(|created| assigned.object.create_revision > created))
    }

    /// What a node is to hold now.
    pub(crate) fn view(&self, node: &str) -> View {
        let mut view = View { revision: self.revision, pool: self.pool(node), ..View::default() };
        for assigned in self.of_node(node) {
            view.assignments.insert(assigned.uid.clone(), (assigned.content, assigned.object.clone()));
            for reference in &assigned.references {
                if let Some(object) = self.materials.get(reference) {
                    view.materials.insert(reference.clone(), object.clone());
                }
            }
        }
        view
    }

    /// What a node held, at most, after it stored the desired state of `revision`; `None` where nobody knows any
    /// more.
    pub(crate) fn held_at(&self, node: &str, revision: u64) -> Option<Sent> {
        if revision < self.floor || revision > self.revision {
            return None;
        }
        let mut held = Sent::default();
        let (before, since): (Vec<_>, Vec<_>) =
            self.of_node(node).partition(|a| a.content <= revision || active(Mutant::ForgottenChange));
        for assigned in before {
            held.assignments.insert(assigned.uid.clone(), assigned.content);
            for reference in &assigned.references {
                let known = self.materials.get(reference).map(|object| object.mod_revision);
                let exact = known.filter(|known| *known <= revision);
                held.materials.insert(reference.clone(), exact.unwrap_or(0));
            }
        }
        // What an Assignment names that was changed since, it may have named before: the log has what it named no more.
        for reference in since.into_iter().flat_map(|assigned| &assigned.references) {
            held.materials.entry(reference.clone()).or_insert(0);
        }
        let gone = self.log.get(node).into_iter().flatten().filter(|past| past.revision > revision);
        for past in gone {
            held.assignments.extend(past.removed.iter().map(|uid| (uid.clone(), 0)));
            for reference in &past.references {
                held.materials.entry(reference.clone()).or_insert(0);
            }
        }
        Some(held)
    }
}

fn decode<T: DeserializeOwned>(object: &Object) -> Option<T> {
    match serde_json::from_slice(&object.bytes) {
        Ok(decoded) => Some(decoded),
        Err(error) => {
            let key = String::from_utf8_lossy(&object.key);
            tracing::error!(%key, %error, "a stored object cannot be read, and no node is told of it");
            None
        }
    }
}

fn assigned(event: &Event) -> Option<Assigned> {
    let assignment: Assignment = decode(&event.object)?;
    let namespace = assignment.metadata.namespace.unwrap_or_default();
    let named = assignment.spec.template().map(references).unwrap_or_default();
    let reference = |(kind, name): (Kind, &str)| MaterialRef {
        kind: if kind == Kind::Secret { MaterialKind::Secret } else { MaterialKind::ConfigMap },
        namespace: namespace.clone(),
        name: name.to_owned(),
    };
    // One that is going starts nothing any more, so it needs no values.
    let going = assignment.metadata.deletion_timestamp.is_some();
    let references = if going { BTreeSet::new() } else { named.into_iter().map(reference).collect() };
    Some(Assigned {
        uid: assignment.metadata.uid,
        workload: assignment.spec.workload_ref.uid,
        content: event.revision,
        references,
        object: event.object.clone(),
        node: assignment.spec.node_name,
    })
}

/// The namespace and name at the end of a key.
fn material_ref(kind: MaterialKind, key: &[u8]) -> Option<MaterialRef> {
    let mut parts = std::str::from_utf8(key).ok()?.rsplit('/');
    let (name, namespace) = (parts.next()?, parts.next()?);
    Some(MaterialRef { kind, namespace: namespace.into(), name: name.into() })
}

/// The members that matter to a node, undecoded.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
    #[serde(borrow)]
    spec: &'a RawValue,
}

/// Whether two states of an object differ in their status at most. Both were encoded by this server.
fn same_content(old: &[u8], new: &[u8]) -> bool {
    let (Ok(old), Ok(new)) =
        (serde_json::from_slice::<Content<'_>>(old), serde_json::from_slice::<Content<'_>>(new))
    else {
        return false;
    };
    old.spec.get() == new.spec.get()
        && without_revision(old.metadata.get()) == without_revision(new.metadata.get())
}

/// Metadata without the resourceVersion that the cache put in front.
fn without_revision(metadata: &str) -> &str {
    let rest = metadata.strip_prefix("{\"resourceVersion\":\"");
    rest.and_then(|rest| rest.split_once('"')).map_or(metadata, |(_, rest)| rest)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;

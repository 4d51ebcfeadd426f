//! What the laws look at: the store as it is on disk, and the processes that live on the hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use bytes::Bytes;
use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use crate::step::{Event, Part, Process, Step};

/// An object as it is stored.
#[derive(Debug)]
pub struct Object {
    /// The revision of its last change.
    pub revision: u64,
    /// As it lies there.
    pub bytes: Bytes,
    json: OnceLock<Value>,
}

impl Object {
    fn new(revision: u64, bytes: Bytes) -> Self {
        Self { revision, bytes, json: OnceLock::new() }
    }

    /// As JSON; null if it is none.
    pub fn json(&self) -> &Value {
        self.json.get_or_init(|| serde_json::from_slice(&self.bytes).unwrap_or_default())
    }
}

/// All that is known of the cluster at a step.
#[derive(Debug, Default)]
pub struct Scene {
    /// Everything in the store, by key.
    pub store: BTreeMap<String, Object>,
    /// The store's revision.
    pub revision: u64,
    /// Processes that live, by the uid of their run.
    pub processes: BTreeMap<String, Process>,
    /// Parts that are up.
    pub up: BTreeSet<Part>,
    /// Whether the quiet time has begun.
    pub quiet: bool,
    /// How many faults there were.
    pub faults: u64,
    /// What a clock that nobody steps says.
    pub now: Timestamp,
}

impl Scene {
    pub(crate) fn take(&mut self, step: &Step, now: Timestamp) {
        self.now = now;
        match &step.event {
            Event::Up => {
                self.up.insert(step.part);
            }
            Event::Down(_) => {
                self.up.remove(&step.part);
            }
            Event::Quiet => self.quiet = true,
            Event::Started(process) => {
                self.processes.insert(process.run_uid.clone(), process.clone());
            }
            Event::Ended(process, _) | Event::Gone(process, _) => {
                self.processes.remove(&process.run_uid);
            }
            Event::Stored { revision, key, value } => {
                self.revision = *revision;
                let key = String::from_utf8_lossy(key).into_owned();
                match value {
                    Some(value) => self.store.insert(key, Object::new(*revision, value.clone())),
                    None => self.store.remove(&key),
                };
            }
            Event::Opened { revision, items } => {
                self.revision = *revision;
                let object = |(key, at, value): &(Bytes, u64, Bytes)| {
                    (String::from_utf8_lossy(key).into_owned(), Object::new(*at, value.clone()))
                };
                self.store = items.iter().map(object).collect();
            }
            Event::Fault(_) => self.faults += 1,
            Event::Asked(_)
            | Event::Answered(..)
            | Event::Listed { .. }
            | Event::Read { .. }
            | Event::Watched { .. }
            | Event::WatchOver { .. } => {}
        }
    }

    /// An object, by `namespace/name` or, of a kind without namespaces, by name.
    pub fn object(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.store.get(&(prefix(kind) + name)).map(Object::json)
    }

    /// All objects of a kind, with `namespace/name`, in the order of their names.
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = (&str, &Value)> {
        let prefix = prefix(kind);
        let from = self.store.range(prefix.clone()..);
        from.map_while(move |(key, object)| Some((key.strip_prefix(&prefix)?, object.json())))
    }
}

/// What the keys of a kind begin with.
pub fn prefix(kind: Kind) -> String {
    let names = kind.names();
    format!("/registry/{}/{}/", if names.group.is_empty() { "core" } else { names.group }, names.plural)
}

/// `namespace/name` of a key of this kind.
pub fn name_in(key: &[u8], kind: Kind) -> Option<&str> {
    std::str::from_utf8(key).ok()?.strip_prefix(&prefix(kind))
}

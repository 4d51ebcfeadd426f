//! Who owns which fields of an object: `metadata.managedFields`.

mod entries;

pub use entries::ManagedFieldsError;
pub(crate) use entries::{Given, given};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::fields::FieldSet;

/// Entries of updates that are kept apart. With more, the oldest become one.
pub const MAX_UPDATE_MANAGERS: usize = 10;

/// Who owns what was owned by the oldest updates.
pub(crate) const ANCIENT_CHANGES: &str = "ancient-changes";
/// Who owns what was there before anybody applied.
pub(crate) const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// How fields came to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// By a server-side apply: the manager owns what it lists, and what it lists no longer goes.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells one entry from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerId {
    /// The name of the manager.
    pub manager: String,
    /// How it wrote.
    pub operation: Operation,
    /// The version it wrote in; none for applies, whose entry follows the version.
    pub api_version: Option<String>,
    /// The subresource it wrote through; empty for the object itself.
    pub subresource: String,
}

/// What an entry says of its manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The version in which the fields are named.
    pub api_version: String,
    /// When the manager last changed something.
    pub time: Option<Timestamp>,
    /// The fields.
    pub fields: FieldSet,
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers(pub(crate) BTreeMap<ManagerId, Owned>);

impl Managers {
    /// Reads `metadata.managedFields`.
    ///
    /// # Errors
    /// If an entry cannot be read; then nothing of the list counts.
    pub fn decode(value: &Value) -> Result<Self, ManagedFieldsError> {
        entries::decode(value)
    }

    /// As `metadata.managedFields`: applies before updates, then by time, manager, version and subresource.
    pub fn encode(&self) -> Value {
        entries::encode(self)
    }

    /// Those of a stored object. What cannot be read is as good as none.
    pub fn of(object: &Value) -> Self {
        object.pointer("/metadata/managedFields").and_then(|list| Self::decode(list).ok()).unwrap_or_default()
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = (&ManagerId, &Owned)> {
        self.0.iter()
    }

    /// What somebody owns, save one.
    pub(crate) fn owned_by_others(&self, id: &ManagerId) -> FieldSet {
        let mut all = FieldSet::new();
        self.0.iter().filter(|(held, _)| *held != id).for_each(|(_, owned)| all.extend(&owned.fields));
        all
    }

    /// Takes fields from all, save one. Who owns nothing any more is no manager.
    pub(crate) fn take_from_others(&mut self, id: Option<&ManagerId>, fields: &FieldSet) {
        if !fields.is_empty() {
            for (_, owned) in self.0.iter_mut().filter(|(held, _)| Some(*held) != id) {
                owned.fields = owned.fields.difference(fields);
            }
        }
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Whether the two say the same, at whatever time.
    pub(crate) fn same_but_for_times(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|((a, x), (b, y))| a == b && x.api_version == y.api_version && x.fields == y.fields)
    }

    /// Merges the oldest updates until there are no more than [`MAX_UPDATE_MANAGERS`]: those of one version into one
    /// entry, which keeps the time of the youngest in it.
    pub(crate) fn cap(&mut self) {
        let mut updates: Vec<ManagerId> =
            self.0.keys().filter(|id| id.operation == Operation::Update).cloned().collect();
        let second = |id: &ManagerId| self.0[id].time.map_or(0, Timestamp::as_second);
        updates.sort_by_cached_key(|id| (second(id), id.clone()));
        let mut left = updates.len();
        let mut first: BTreeMap<String, ManagerId> = BTreeMap::new();
        for id in updates {
            if left <= MAX_UPDATE_MANAGERS {
                return;
            }
            let Some(version) = self.0.get(&id).map(|owned| owned.api_version.clone()) else { continue };
            let Some(oldest) = first.get(&version).cloned() else {
                first.insert(version, id);
                continue;
            };
            let bucket = ManagerId {
                manager: ANCIENT_CHANGES.into(),
                operation: Operation::Update,
                api_version: Some(version),
                subresource: String::new(),
            };
            if bucket == id {
                continue;
            }
            if !self.0.contains_key(&bucket)
                && let Some(owned) = self.0.remove(&oldest)
            {
                self.0.insert(bucket.clone(), owned);
            }
            let Some(merged) = self.0.remove(&id) else { continue };
            if let Some(into) = self.0.get_mut(&bucket) {
                into.fields.extend(&merged.fields);
                into.time = merged.time;
            }
            left -= 1;
        }
    }
}

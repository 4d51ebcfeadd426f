//! Objects in the store: the verbs that write, with optimistic concurrency, and reads of one object.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use drover_store::{Cache, Object, Op, Store, StoreError, Txn, TxnOutcome};
use drover_types::{Kind, Scope};
use drover_world::World;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::json::Decoded;
use crate::prepare;
use crate::query::{FieldValidation, Params};
use crate::{keys, tombstones};

/// The namespace that exists from the first start and never goes.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// How often a write that did not name a version is tried again after another one came first.
pub(crate) const ATTEMPTS: usize = 8;

/// The largest object as it is stored, its status included: an event of it has to fit into a line of a client.
const MAX_OBJECT: usize = 3 << 20;

/// Where one object is, or is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl Place<'_> {
    pub(crate) fn key(&self) -> String {
        keys::key(self.kind, self.namespace, self.name)
    }
}

/// A stored object, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// With its resourceVersion.
    pub(crate) object: Value,
    pub(crate) revision: u64,
    /// The revision that created it.
    pub(crate) created: u64,
}

impl Stored {
    pub(crate) fn decode(held: &Object) -> Result<Self, ApiError> {
        let object = serde_json::from_slice(&held.bytes).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { object, revision: held.mod_revision, created: held.create_revision })
    }
}

/// What a write answers with.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
    pub(crate) created: bool,
}

/// The verbs over a store.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) world: World,
    /// Identifies the store's history.
    pub(crate) epoch: String,
}

/// How a store's failure looks to a client.
pub(crate) fn store_error(error: StoreError) -> ApiError {
    match error {
        StoreError::Compacted { compacted } => {
            ApiError::new(410, "Expired", format!("too old resource version ({compacted})"))
        }
        StoreError::FutureRevision { requested, current } => ApiError::from_the_future(requested, current),
        StoreError::LogStuck { .. } | StoreError::Overtaken { .. } => {
            ApiError::unavailable(error.to_string())
        }
        StoreError::DiskFull => ApiError::new(507, "InsufficientStorage", error.to_string()),
        StoreError::Poisoned { .. } | StoreError::Closed | StoreError::Slow { .. } => {
            ApiError::unavailable(error.to_string())
        }
        StoreError::Invalid { reason } => ApiError::bad_request(reason),
        StoreError::Corrupt { .. } | StoreError::Backend(_) => ApiError::internal(&error),
    }
}

impl Objects {
    pub(crate) fn find(&self, at: Place<'_>) -> Result<Option<Stored>, ApiError> {
        // The cache has seen every write that was ever answered.
        self.cache.get(at.key().as_bytes()).map(|held| Stored::decode(&held)).transpose()
    }

    pub(crate) fn get(&self, at: Place<'_>) -> Result<Stored, ApiError> {
        self.find(at)?.ok_or_else(|| ApiError::not_found(at.kind, at.name))
    }

    /// Stores a prepared object where there is none, and nothing under the keys `absent` either.
    pub(crate) async fn insert(
        &self,
        at: Place<'_>,
        value: Value,
        absent: &[String],
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        for _ in 0..ATTEMPTS {
            let txn = self.in_namespace(at, &value)?.when(at.key(), 0);
            let txn = absent.iter().fold(txn, |txn, key| txn.when(key.clone(), 0));
            if dry_run {
                return match self.find(at)? {
                    Some(_) => Err(ApiError::already_exists(at.kind, at.name)),
                    None => Ok(value),
                };
            }
            match self.commit(txn.put(at.key(), keys::encode(&value))).await? {
                TxnOutcome::Committed { revision } => return Ok(with_revision(value, revision)),
                TxnOutcome::Conflict { key, .. } if key == at.key() || absent.iter().any(|k| key == *k) => {
                    return Err(ApiError::already_exists(at.kind, at.name));
                }
                // The namespace changed meanwhile: look again.
                TxnOutcome::Conflict { .. } => {}
            }
        }
        Err(ApiError::conflict(at.kind, at.name))
    }

    /// Runs a transaction. It changes at most one object of a kind, for all its changes share a revision, and a watch
    /// resumes from one; and none that is too large for those who read it.
    pub(crate) async fn commit(&self, txn: Txn) -> Result<TxnOutcome, ApiError> {
        let mut kinds = BTreeSet::new();
        for op in &txn.ops {
            let Some(kind) = keys::collection_of(op.key()) else { continue };
            if !kinds.insert(kind) {
                return Err(ApiError::new(
                    500,
                    "InternalError",
                    "one transaction changes two objects of a kind",
                ));
            }
            if let Op::Put { value, .. } = op
                && value.len() > MAX_OBJECT
            {
                return Err(ApiError::too_large(MAX_OBJECT));
            }
        }
        self.store.txn(txn).await.map_err(store_error)
    }

    /// A transaction that holds only while the namespace is there and not going.
    pub(crate) fn in_namespace(&self, at: Place<'_>, value: &Value) -> Result<Txn, ApiError> {
        let (Scope::Namespaced, Some(name)) = (at.kind.names().scope, at.namespace) else {
            return Ok(Txn::new());
        };
        let place = Place { kind: Kind::Namespace, namespace: None, name };
        let namespace = self.get(place)?;
        // Events of what goes with a namespace may still be told.
        if prepare::is_deleting(&namespace.object) && at.kind != Kind::Event {
            let detail =
                format!("unable to create new content in namespace {name} because it is being terminated");
            return Err(ApiError::forbidden(at.kind, prepare::text(value, "name"), &detail));
        }
        Ok(Txn::new().when(place.key(), namespace.revision))
    }

    /// A transaction that removes an object, and leaves its tombstone where it has one.
    pub(crate) fn remove(&self, at: Place<'_>, object: &Value, txn: Txn) -> Txn {
        let txn = txn.delete(at.key());
        match tombstones::of(at, object, self.world.clock.now()) {
            Some((key, stone)) => txn.put(key, stone),
            None => txn,
        }
    }

    /// Makes the namespace `default`, which exists from the first start.
    pub(crate) async fn bootstrap(&self) -> Result<(), ApiError> {
        let at = Place { kind: Kind::Namespace, namespace: None, name: DEFAULT_NAMESPACE };
        if self.find(at)?.is_some() {
            return Ok(());
        }
        let value = json!({"metadata": {"name": DEFAULT_NAMESPACE}});
        let params = Params { field_validation: FieldValidation::Strict, ..Params::default() };
        match self.create(at.kind, None, Decoded { value, duplicates: Vec::new() }, &params).await {
            Err(error) if error.code() != 409 => Err(error),
            _ => Ok(()),
        }
    }
}

pub(crate) fn with_revision(mut object: Value, revision: u64) -> Value {
    object["metadata"]["resourceVersion"] = revision.to_string().into();
    object
}

/// The bytes of an object as a client reads it.
pub(crate) fn to_bytes(object: &Value) -> Bytes {
    object.to_string().into()
}

#[cfg(test)]
mod tests {
    use drover_store::{CacheOptions, Options, SqliteStore};

    use super::*;

    #[tokio::test]
    async fn a_transaction_changes_one_object_of_a_kind_and_none_that_is_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path(), Options::new(|| 1)).unwrap());
        let encode = CacheOptions::new(|kind, revision, value| keys::encoded(kind, value, revision));
        let cache = Cache::attach(&*store, keys::ROOT, encode).await.unwrap();
        let objects = Objects { store, cache, world: World::system(), epoch: String::new() };
        let key = |kind, name| keys::key(kind, Some("default"), name);
        let two_kinds = Txn::new().put(key(Kind::Run, "a"), "{}").put(key(Kind::Assignment, "a"), "{}");
        assert!(objects.commit(two_kinds.put("/reports/n", "{}")).await.is_ok());
        let two_of_one = Txn::new().put(key(Kind::Run, "b"), "{}").delete(key(Kind::Run, "a"));
        assert_eq!(objects.commit(two_of_one).await.unwrap_err().code(), 500);
        let large = Txn::new().put(key(Kind::Run, "c"), vec![b' '; MAX_OBJECT + 1]);
        assert_eq!(objects.commit(large).await.unwrap_err().code(), 413);
    }
}

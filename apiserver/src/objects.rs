//! Objects in the store: the verbs that write, with optimistic concurrency, and reads of one object.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use drover_store::{Cache, Object, Op, Store, StoreError, Txn, TxnOutcome};
use drover_types::{FieldError, Kind, Scope};
use drover_world::World;
use serde_json::{Value, json};

use crate::admission;
use crate::error::ApiError;
use crate::json::{self, Decoded};
use crate::patch;
use crate::prepare::{self, Part};
use crate::query::{FieldValidation, Params};
use crate::{keys, owners, started, tombstones};

/// The namespace that exists from the first start and never goes.
const DEFAULT_NAMESPACE: &str = "default";
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

/// What became of a delete.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone; this was its last state.
    Gone(Value),
    /// Finalizers hold it.
    Held(Value),
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<u64>,
    pub(crate) propagation: Option<String>,
    pub(crate) dry_run: bool,
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

    /// POST to a collection.
    pub(crate) async fn create(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        body: Decoded,
        params: &Params,
    ) -> Result<Written, ApiError> {
        let Decoded { mut value, duplicates } = body;
        json::drop_nulls(&mut value);
        prepare::address(kind, namespace, None, &mut value)?;
        let prefix = prepare::text(&value, "generateName").to_owned();
        let generated = prepare::text(&value, "name").is_empty();
        if generated && !prefix.is_empty() {
            value["metadata"]["name"] = format!("{prefix}{}", self.suffix()).into();
        }
        prepare::create(kind, &mut value, self.world.uuid_v4().to_string(), self.world.clock.now());
        let (value, warnings) = admission::admit(kind, value, None, &duplicates, params.field_validation)?;
        let name = prepare::text(&value, "name").to_owned();
        let at = Place { kind, namespace, name: &name };
        if kind == Kind::Task && value.pointer("/spec/paramValues").is_some() {
            let detail = "only the server sets it, for a child that a call makes";
            let error = FieldError::forbidden("spec.paramValues".into(), detail);
            return Err(ApiError::invalid(kind, &name, &[error]));
        }
        owners::refuse_unreachable(at, &value)?;
        let object = self.insert(at, value, &[], params.dry_run).await?;
        Ok(Written { object, warnings, created: true })
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
    fn remove(&self, at: Place<'_>, object: &Value, txn: Txn) -> Txn {
        let txn = txn.delete(at.key());
        match tombstones::of(at, object, self.world.clock.now()) {
            Some((key, stone)) => txn.put(key, stone),
            None => txn,
        }
    }

    /// Five characters, as Kubernetes appends to `generateName`.
    pub(crate) fn suffix(&self) -> String {
        // Without vowels and look-alikes, so that no word and no mistake comes of it.
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut random = [0; 5];
        self.world.entropy.fill(&mut random);
        random.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
    }

    /// PUT: replaces one part of an object.
    pub(crate) async fn replace(
        &self,
        at: Place<'_>,
        part: Part,
        body: Decoded,
        params: &Params,
    ) -> Result<Written, ApiError> {
        let Decoded { mut value, duplicates } = body;
        json::drop_nulls(&mut value);
        prepare::address(at.kind, at.namespace, Some(at.name), &mut value)?;
        let wanted = Wanted::of(at, part, &value)?;
        if wanted.revision.is_none() && !at.kind.names().group.is_empty() {
            let error =
                FieldError::invalid("metadata.resourceVersion".into(), 0, "must be specified for an update");
            return Err(ApiError::invalid(at.kind, at.name, &[error]));
        }
        self.update(at, &wanted, params, |_| Ok((value.clone(), duplicates.clone()))).await
    }

    /// PATCH with a merge patch.
    pub(crate) async fn patch(
        &self,
        at: Place<'_>,
        part: Part,
        body: Decoded,
        params: &Params,
    ) -> Result<Written, ApiError> {
        if !body.value.is_object() {
            return Err(ApiError::bad_request("a merge patch must be a JSON object"));
        }
        let wanted = Wanted::of(at, part, &body.value)?;
        self.update(at, &wanted, params, |old| {
            let mut next = old.clone();
            patch::merge(&mut next, body.value.clone());
            prepare::address(at.kind, at.namespace, Some(at.name), &mut next)?;
            Ok((next, body.duplicates.clone()))
        })
        .await
    }

    /// Reads, changes and writes, again if another write came between and no version was asked for.
    pub(crate) async fn update(
        &self,
        at: Place<'_>,
        wanted: &Wanted,
        params: &Params,
        change: impl Fn(&Value) -> Result<(Value, Vec<String>), ApiError> + Send + Sync,
    ) -> Result<Written, ApiError> {
        for _ in 0..ATTEMPTS {
            let old = self.get(at)?;
            wanted.check(at, &old)?;
            let (body, duplicates) = change(&old.object)?;
            let next = prepare::replace(at.kind, wanted.part, &old.object, body)?;
            let (mut next, warnings) =
                admission::admit(at.kind, next, Some(&old.object), &duplicates, params.field_validation)?;
            prepare::count_generation(at.kind, &old.object, &mut next);
            let next = with_revision(next, old.revision);
            let written = |object| Written { object, warnings: warnings.clone(), created: false };
            let goes = prepare::is_deleting(&next) && !prepare::is_held(at.kind, &next);
            let mut txn = Txn::new().when(at.key(), old.revision);
            let owners = |object| prepare::metadata(object).get("ownerReferences").cloned();
            if owners(&next) != owners(&old.object) {
                owners::refuse_unreachable(at, &next)?;
                // Two who make a circle at once, each with half of it: the second meets the first's revision.
                for (key, revision) in owners::refuse_cycle(self, at, &next)? {
                    txn = txn.when(key, revision);
                }
            }
            started::refuse_late_edit(self, at, &old.object, &next)?;
            if params.dry_run || (next == old.object && !goes) {
                return Ok(written(next));
            }
            // The end of a deletion makes room.
            let txn = if prepare::is_deleting(&next) { txn.making_room() } else { txn };
            let txn = if goes { self.remove(at, &next, txn) } else { txn.put(at.key(), keys::encode(&next)) };
            match self.commit(txn).await? {
                TxnOutcome::Committed { revision } => return Ok(written(with_revision(next, revision))),
                TxnOutcome::Conflict { key, .. } if wanted.revision.is_some() && key == at.key() => break,
                TxnOutcome::Conflict { .. } => {}
            }
        }
        Err(ApiError::conflict(at.kind, at.name))
    }

    pub(crate) async fn delete(&self, at: Place<'_>, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        if at.kind == Kind::Namespace && at.name == DEFAULT_NAMESPACE {
            return Err(ApiError::forbidden(Kind::Namespace, at.name, "this namespace may not be deleted"));
        }
        let finalizer = match options.propagation.as_deref() {
            None | Some("Background") => None,
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "propagationPolicy: {other:?} is none of \"Background\", \"Foreground\", \"Orphan\""
                )));
            }
        };
        let wanted = Wanted { part: Part::Main, uid: options.uid.clone(), revision: options.revision };
        for _ in 0..ATTEMPTS {
            let old = self.get(at)?;
            wanted.check(at, &old)?;
            let mut next = old.object.clone();
            if !prepare::is_deleting(&next) {
                next["metadata"]["deletionTimestamp"] = prepare::time(self.world.clock.now());
                next["metadata"]["deletionGracePeriodSeconds"] = 0.into();
                if let Some(finalizer) = finalizer {
                    add_finalizer(&mut next, finalizer);
                }
                if at.kind == Kind::Namespace {
                    next["status"]["phase"] = "Terminating".into();
                }
            }
            let held = prepare::is_held(at.kind, &next);
            let txn = Txn::new().when(at.key(), old.revision).making_room();
            let txn = match (held, next == old.object) {
                (true, true) => return Ok(Deleted::Held(next)),
                (true, false) => txn.put(at.key(), keys::encode(&next)),
                (false, _) => self.remove(at, &next, txn),
            };
            let done = |revision| {
                let object = with_revision(next.clone(), revision);
                if held { Deleted::Held(object) } else { Deleted::Gone(object) }
            };
            if options.dry_run {
                return Ok(done(old.revision));
            }
            match self.commit(txn).await? {
                TxnOutcome::Committed { revision } => return Ok(done(revision)),
                TxnOutcome::Conflict { .. } if wanted.revision.is_some() => break,
                TxnOutcome::Conflict { .. } => {}
            }
        }
        Err(ApiError::conflict(at.kind, at.name))
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

fn add_finalizer(object: &mut Value, finalizer: &str) {
    let mut list: Vec<Value> = prepare::finalizers(object).into_iter().map(Value::from).collect();
    if !list.iter().any(|held| held == finalizer) {
        list.push(finalizer.into());
    }
    object["metadata"]["finalizers"] = list.into();
}

pub(crate) fn with_revision(mut object: Value, revision: u64) -> Value {
    object["metadata"]["resourceVersion"] = revision.to_string().into();
    object
}

/// The version of an object that a write is meant for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) part: Part,
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<u64>,
}

impl Wanted {
    /// As a body names it.
    fn of(at: Place<'_>, part: Part, body: &Value) -> Result<Self, ApiError> {
        let given = |member: &str| Some(prepare::text(body, member)).filter(|text| !text.is_empty());
        let revision = match given("resourceVersion") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                let error =
                    FieldError::invalid("metadata.resourceVersion".into(), text, "must be a decimal u64");
                ApiError::invalid(at.kind, at.name, &[error])
            })?),
        };
        Ok(Self { part, uid: given("uid").map(str::to_owned), revision })
    }

    fn check(&self, at: Place<'_>, held: &Stored) -> Result<(), ApiError> {
        if let Some(uid) = &self.uid
            && uid != prepare::text(&held.object, "uid")
        {
            let detail = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                prepare::text(&held.object, "uid")
            );
            return Err(ApiError::conflict_because(at.kind, at.name, &detail));
        }
        match self.revision {
            Some(revision) if revision != held.revision => Err(ApiError::conflict(at.kind, at.name)),
            _ => Ok(()),
        }
    }
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

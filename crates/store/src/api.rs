//! The trait and its words. They are chosen so that etcd can implement them: one global revision, transactions
//! guarded by `mod_revision`, range reads at a revision, watches from a revision, compaction.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;

use crate::{Copied, Result, StoreError, StoreMetrics, Watch};

/// A boxed, sendable future: what makes [`Store`] usable as `Arc<dyn Store>`.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;

/// One live key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value as it was put.
    pub value: Bytes,
    /// The revision that created the key; a key deleted and put again has a new one.
    pub create_revision: u64,
    /// The revision of the last put.
    pub mod_revision: u64,
}

/// A guard of a [`Txn`]: the key's `mod_revision` must be this; 0 says the key must be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The guarded key.
    pub key: Bytes,
    /// The revision it must have.
    pub mod_revision: u64,
}

/// One change a [`Txn`] makes.
#[derive(Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets the key, whether or not it exists.
    Put {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
    },
    /// Removes the key; nothing happens when it is absent.
    Delete {
        /// The key.
        key: Bytes,
    },
}

impl Op {
    /// The key the operation changes.
    pub fn key(&self) -> &Bytes {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

/// A transaction: all of `ops` when every compare holds, nothing otherwise. A key may be named by one op only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// The guards, checked in order.
    pub compares: Vec<Compare>,
    /// The changes, made in order.
    pub ops: Vec<Op>,
    /// Whether it leads to less being stored, see [`Txn::making_room`].
    pub makes_room: bool,
}

impl Txn {
    /// A transaction with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a guard: `key` must be at `mod_revision` (0: absent).
    #[must_use]
    pub fn when(mut self, key: impl Into<Bytes>, mod_revision: u64) -> Self {
        self.compares.push(Compare { key: key.into(), mod_revision });
        self
    }

    /// Adds a put.
    #[must_use]
    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Put { key: key.into(), value: value.into() });
        self
    }

    /// Adds a delete.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// Says that this leads to less being stored, as the mark of a deletion does: on a full disk it may use the space
    /// kept back. One that only deletes need not say so.
    #[must_use]
    pub fn making_room(mut self) -> Self {
        self.makes_room = true;
        self
    }

    pub(crate) fn may_use_reserve(&self) -> bool {
        self.makes_room || (!self.ops.is_empty() && self.ops.iter().all(|op| matches!(op, Op::Delete { .. })))
    }
}

/// What became of a [`Txn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnOutcome {
    /// Every compare held. The revision is the transaction's own, or, when it changed nothing, the store's.
    Committed {
        /// The revision.
        revision: u64,
    },
    /// A compare failed; nothing was changed.
    Conflict {
        /// The key of the first compare that failed.
        key: Bytes,
        /// What the key holds.
        current: Option<KeyValue>,
    },
}

/// How to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// The revision to list at; `None` is the newest.
    pub revision: Option<u64>,
    /// At most this many items; 0 is no limit.
    pub limit: usize,
    /// Only keys after this one.
    pub start_after: Option<Bytes>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items in rising key order.
    pub items: Vec<KeyValue>,
    /// The revision the list is of; hand it back in [`ListOptions::revision`] for the next page.
    pub revision: u64,
    /// Whether there are items after the last one.
    pub more: bool,
    /// How many there are after the last one.
    pub remaining: u64,
}

/// One committed transaction, or the part of it a watch asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its revision.
    pub revision: u64,
    /// What it changed, in the order of its ops.
    pub changes: Vec<Change>,
}

/// One key changed by a [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// The revision that created the key: the commit's own when this change did.
    pub create_revision: u64,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a key.
#[derive(Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was put.
    Put {
        /// The new value.
        value: Bytes,
    },
    /// It was deleted.
    Delete {
        /// The value it had last.
        last: Bytes,
    },
}

/// The state of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The newest revision.
    pub revision: u64,
    /// The oldest revision that can be listed; a watch resumes from it or later.
    pub compacted: u64,
    /// Identifies this history; a restore changes it.
    pub epoch: Uuid,
    /// Bytes of the database file.
    pub db_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
}

/// One that follows every commit in order, such as the [`Cache`](crate::Cache). It is called before the committer is
/// answered, so what it shows includes every write a caller knows of. It must be quick and must not panic.
pub trait Observer: Send + Sync + 'static {
    /// The keys it wants.
    fn prefix(&self) -> &[u8];

    /// How many past revisions to replay to it when it is attached, if they are still kept.
    fn replay(&self) -> u64;

    /// Everything under the prefix at `revision`: the first call, and the only one of its kind.
    fn reset(&self, items: Vec<KeyValue>, revision: u64);

    /// One commit after that. It is called for every commit, also when nothing under the prefix changed.
    fn committed(&self, commit: &Commit);

    /// The last call: the store is gone.
    fn closed(&self);
}

/// A revisioned key-value store.
///
/// Revisions are one strictly rising `u64` over all keys; each transaction that changes something takes one. A
/// future of [`Store::txn`] that is dropped does not take its transaction back.
///
/// All changes of a transaction share its revision, and who follows resumes from a revision. So a transaction must not
/// change two keys that one follower is told of one by one, or a follower cut off between the two misses the second:
/// the server changes at most one object of a kind in a transaction.
pub trait Store: Send + Sync + 'static {
    /// Runs a transaction. When it answers `Committed`, the change is on disk and every observer has seen it.
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnOutcome>>;

    /// The newest value of a key.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<KeyValue>>>;

    /// The keys that start with `prefix`, as of one revision.
    fn list<'a>(&'a self, prefix: &'a [u8], options: ListOptions) -> BoxFuture<'a, Result<Page>>;

    /// Every commit after revision `from` that changes a key with this prefix.
    fn watch<'a>(&'a self, prefix: &'a [u8], from: u64) -> BoxFuture<'a, Result<Watch>>;

    /// Lets go of what only revisions before `revision` show, and gives the space back. Going backwards does
    /// nothing.
    fn compact(&self, revision: u64) -> BoxFuture<'_, Result<()>>;

    /// The state of the store.
    fn status(&self) -> BoxFuture<'_, Result<Status>>;

    /// Attaches an observer for as long as the store lives. It has been brought up to date when this returns.
    fn attach(&self, observer: Arc<dyn Observer>) -> BoxFuture<'_, Result<()>>;

    /// Writes what is live now to a new file, mode 0600, which takes the place of one that is there, while writes go on. What
    /// it is worth is known when this returns; the file is not synced. A store that makes no copies answers `Invalid`.
    fn copy<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<Copied>> {
        let reason = format!("this store makes no copies, so {} was not written", to.display());
        Box::pin(async { Err(StoreError::Invalid { reason }) })
    }

    /// The store's counters.
    fn metrics(&self) -> Arc<StoreMetrics>;
}

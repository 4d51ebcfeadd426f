//! A revisioned key-value store, and the watch cache over it.
//!
//! [`Store`] is the one trait: compare-and-swap transactions on several keys, lists that are one consistent
//! snapshot of a revision still kept, watches that resume from a revision still kept, compaction. Keys and values
//! are bytes; nothing here knows what an object is. [`SqliteStore`] keeps it all in one SQLite file behind one
//! writer thread; [`InlineStore`] is the same without threads, for a simulation; [`Engine`] is what both are made of.
//! [`Cache`] holds the live objects under a prefix and feeds any number of watchers. [`Store::copy`] writes what is
//! live to a file while writes go on; [`revive`] makes such a copy the beginning of another history.
//!
//! Absent: any other backend (the trait's words are those etcd has, so that it can be one), and time: nothing here
//! expires.

mod api;
mod cache;
mod checkpoint;
mod copy;
mod debug;
mod engine;
mod error;
mod file;
mod inline;
mod live;
mod lock;
mod log;
mod metrics;
mod options;
mod queue;
mod read;
mod readers;
mod reserve;
mod ring;
mod schema;
mod sqlite;
mod torn;
#[cfg(test)]
mod upgrade_tests;
mod upkeep;
mod watch;
mod watcher;
mod write;
mod writer;

pub use api::{
    BoxFuture, Change, ChangeKind, Commit, Compare, KeyValue, ListOptions, Observer, Op, Page, Status, Store,
    Txn, TxnOutcome,
};
pub use cache::{Cache, CacheOptions, CachePage, Encode, Encoded};
pub use copy::{Copied, copy_at_rest, revive};
pub use engine::{Applied, Engine};
pub use error::{OpenError, StoreError};
pub use inline::InlineStore;
pub use metrics::{BATCH_BUCKETS, CacheMetrics, StoreMetrics};
pub use options::{MAX_KEY_BYTES, MAX_TXN_BYTES, MAX_TXN_OPS, Options};
pub use ring::{Event, EventKind, Object};
pub use sqlite::SqliteStore;
pub use watch::Watch;
pub use watcher::Watcher;

/// What every call of this crate answers with.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

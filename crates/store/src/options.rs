//! What a store may be told when it is opened, and the bounds that are not for telling.

use std::{fmt, sync::Arc};

/// The longest key.
pub const MAX_KEY_BYTES: usize = 2048;
/// The most ops or compares of one transaction.
pub const MAX_TXN_OPS: usize = 1024;
/// The most bytes of one transaction, keys and values together.
pub const MAX_TXN_BYTES: usize = 16 << 20;

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Past revisions kept for lists and watches; compaction trims to it, a tenth late. On a full disk none is.
    pub keep_revisions: u64,
    /// Bytes of past values kept; compaction trims to it.
    pub keep_bytes: u64,
    /// The log's size that makes the writer itself move it into the database. At eight times this, writes are refused.
    pub wal_bytes: u64,
    /// Bytes kept back, in a file of their own, for what makes room when the disk is full; 0 for none.
    pub reserve_bytes: u64,
    /// Requests that may wait for the writer; a caller beyond that waits to be let in.
    pub queue: usize,
    /// The most transactions of one commit.
    pub batch: usize,
    /// Threads that read.
    pub readers: usize,
    /// Commits that may wait for one [`Watch`](crate::Watch).
    pub watch_capacity: usize,
    /// The SQLite VFS to use instead of the system's. The files of such a store are looked at through it alone: the
    /// checks that read them past SQLite are left out.
    pub vfs: Option<String>,
    /// Where the epoch of a new store comes from.
    pub entropy: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl Options {
    /// The defaults, with this source for the epoch of a store that is created.
    pub fn new(entropy: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        Self {
            keep_revisions: 20_000,
            keep_bytes: 64 << 20,
            wal_bytes: 16 << 20,
            reserve_bytes: 4 << 20,
            queue: 1024,
            batch: 256,
            readers: 2,
            watch_capacity: 1024,
            vfs: None,
            entropy: Arc::new(entropy),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("keep_revisions", &self.keep_revisions)
            .field("keep_bytes", &self.keep_bytes)
            .field("wal_bytes", &self.wal_bytes)
            .field("reserve_bytes", &self.reserve_bytes)
            .field("queue", &self.queue)
            .field("batch", &self.batch)
            .field("readers", &self.readers)
            .field("watch_capacity", &self.watch_capacity)
            .field("vfs", &self.vfs)
            .finish_non_exhaustive()
    }
}

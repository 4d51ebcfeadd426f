//! Counters as plain atomics: whoever exports metrics reads them, nothing here knows a format.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the batch-size buckets; one more bucket takes the rest.
pub const BATCH_BUCKETS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// What a store has done since it was opened.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// Transactions that changed something.
    pub commits: AtomicU64,
    /// Transactions refused by a compare.
    pub conflicts: AtomicU64,
    /// Commits to disk, each of which waited for one sync of the log.
    pub syncs: AtomicU64,
    /// Batches by how many transactions they held, see [`BATCH_BUCKETS`].
    pub batches: [AtomicU64; BATCH_BUCKETS.len() + 1],
    /// Transactions of all batches together.
    pub batched: AtomicU64,
    /// Writes refused because the disk was full.
    pub disk_full: AtomicU64,
    /// 1 once a failed write has ended writing.
    pub poisoned: AtomicU64,
    /// Pages at the end of the log that a crash left unusable, found at the last opening.
    pub dropped_pages: AtomicU64,
    /// Bytes of the log.
    pub log_bytes: AtomicU64,
    /// Times the log was moved into the database.
    pub checkpoints: AtomicU64,
    /// Rows that compaction removed.
    pub compacted_rows: AtomicU64,
    /// The oldest revision that can be listed.
    pub compacted: AtomicU64,
    /// Open watches.
    pub watches: AtomicU64,
    /// Watches closed because they were slow.
    pub slow_closes: AtomicU64,
}

impl StoreMetrics {
    pub(crate) fn batch(&self, transactions: usize) {
        let size = transactions as u64;
        let bucket = BATCH_BUCKETS.iter().position(|bound| size <= *bound).unwrap_or(BATCH_BUCKETS.len());
        self.batches[bucket].fetch_add(1, Relaxed);
        self.batched.fetch_add(size, Relaxed);
    }
}

/// What a cache holds and has done.
#[derive(Debug, Default)]
pub struct CacheMetrics {
    /// Live objects.
    pub objects: AtomicU64,
    /// Bytes of the live objects.
    pub object_bytes: AtomicU64,
    /// Events kept for resuming.
    pub ring_events: AtomicU64,
    /// Events handed to watchers.
    pub delivered: AtomicU64,
    /// Open watchers.
    pub watchers: AtomicU64,
    /// Watchers closed because they were slow.
    pub slow_closes: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

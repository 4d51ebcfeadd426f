//! What a reconciler counts, for whoever wants to show it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow. Shared: read them while the reconciler runs.
#[derive(Debug, Default)]
pub struct Stats {
    reconciled: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    refused: AtomicU64,
    dropped_events: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that were looked at.
    pub reconciled: u64,
    /// Of those, how often it did not work and was put off.
    pub failed: u64,
    /// How often a controller panicked; the key was put off like any other failure.
    pub panicked: u64,
    /// How often a queue was full, after which everything is looked at again.
    pub refused: u64,
    /// Events that were not written because of a bound.
    pub dropped_events: u64,
}

impl Stats {
    /// Reads all of them.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            reconciled: read(&self.reconciled),
            failed: read(&self.failed),
            panicked: read(&self.panicked),
            refused: read(&self.refused),
            dropped_events: read(&self.dropped_events),
        }
    }

    pub(crate) fn reconciled(&self) {
        self.reconciled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panicked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped_event(&self) {
        self.dropped_events.fetch_add(1, Ordering::Relaxed);
    }
}

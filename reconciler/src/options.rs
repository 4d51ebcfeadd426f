//! The bounds of a reconciler.

use std::time::Duration;

/// How much a reconciler does at once, how often, and how much it keeps. The defaults suit a fleet of thousands.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most keys waiting in one controller. What is refused is found again by a resync as soon as there is room.
    pub queue_capacity: usize,
    /// Keys that one controller works on at once.
    pub workers: usize,
    /// Writes under way at once for one key.
    pub parallel_writes: usize,
    /// How often everything is looked at although nothing happened.
    pub resync: Duration,
    /// How long changes are gathered that add up in a decision or a status.
    pub coalesce: Duration,
    /// How long changes are gathered that only move times and counts of what runs on.
    pub refresh: Duration,
    /// The longest wait after failures.
    pub max_backoff: Duration,
    /// How long work under way may go on after the shutdown.
    pub drain: Duration,
    /// Different Events about one object that may come at once.
    pub event_burst: u32,
    /// How long it takes until one more may come.
    pub event_refill: Duration,
    /// Most Events waiting to be written.
    pub max_pending_events: usize,
    /// Most Events kept in all namespaces together, whoever wrote them; the oldest go first.
    pub max_events: usize,
    /// How long an Event is kept after it last happened.
    pub event_ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_capacity: 100_000,
            workers: 8,
            parallel_writes: 16,
            resync: Duration::from_secs(600),
            coalesce: Duration::from_millis(100),
            refresh: Duration::from_secs(1),
            max_backoff: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            event_burst: 25,
            event_refill: Duration::from_secs(12),
            max_pending_events: 4096,
            max_events: 20_000,
            event_ttl: Duration::from_secs(3600),
        }
    }
}

//! Counters for `/metrics`, in the OpenMetrics text form.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use drover_store::{BATCH_BUCKETS, CacheMetrics, StoreMetrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::sessions::Counters;

/// Both labels come from closed lists, so the family stays small.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    resource: &'static str,
    method: &'static str,
    code: u16,
}

/// Sizes of batches, and one more for all that are larger.
const BATCHES: usize = BATCH_BUCKETS.len() + 1;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BatchLabels {
    up_to: String,
}

/// A gauge, and where its value comes from.
type Reading<T> = (Gauge, fn(&T) -> u64);

/// What the server counts itself.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) watches: Gauge,
    pub(crate) sessions: Counters,
    store: [Reading<StoreMetrics>; 13],
    batches: [(Gauge, usize); BATCHES],
    cache: [Reading<CacheMetrics>; 6],
    sources: (Arc<StoreMetrics>, Arc<CacheMetrics>),
}

impl Metrics {
    pub(crate) fn new(store: Arc<StoreMetrics>, cache: Arc<CacheMetrics>) -> Self {
        let mut registry = Registry::with_prefix("drover_apiserver");
        let requests = Family::default();
        registry.register("requests", "Requests answered", requests.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections", "Connections open");
        let watches = gauge("watches", "Watches open");
        let store_gauges: [Reading<StoreMetrics>; 13] = [
            (gauge("store_commits", "Transactions committed"), |m| m.commits.load(Relaxed)),
            (gauge("store_conflicts", "Transactions refused by a guard"), |m| m.conflicts.load(Relaxed)),
            (gauge("store_syncs", "Commits to disk, each one sync of the log"), |m| m.syncs.load(Relaxed)),
            (gauge("store_batched", "Transactions in all batches"), |m| m.batched.load(Relaxed)),
            (gauge("store_checkpoints", "Times the log was moved"), |m| m.checkpoints.load(Relaxed)),
            (gauge("store_log_bytes", "Bytes of the log"), |m| m.log_bytes.load(Relaxed)),
            (gauge("store_dropped_pages", "Pages of the log lost to a crash"), |m| {
                m.dropped_pages.load(Relaxed)
            }),
            (gauge("store_poisoned", "1 once a failed write ended writing"), |m| m.poisoned.load(Relaxed)),
            (gauge("store_disk_full", "Writes refused for want of space"), |m| m.disk_full.load(Relaxed)),
            (gauge("store_compacted_rows", "Rows let go by compaction"), |m| m.compacted_rows.load(Relaxed)),
            (gauge("store_compacted", "Oldest revision that can be listed"), |m| m.compacted.load(Relaxed)),
            (gauge("store_watches", "Watches of the store"), |m| m.watches.load(Relaxed)),
            (gauge("store_slow_closes", "Of them, closed for being slow"), |m| m.slow_closes.load(Relaxed)),
        ];
        let cache_gauges: [Reading<CacheMetrics>; 6] = [
            (gauge("cache_objects", "Objects live"), |m| m.objects.load(Relaxed)),
            (gauge("cache_object_bytes", "Bytes of them"), |m| m.object_bytes.load(Relaxed)),
            (gauge("cache_ring_events", "Events kept for resuming"), |m| m.ring_events.load(Relaxed)),
            (gauge("cache_delivered", "Events handed to watchers"), |m| m.delivered.load(Relaxed)),
            (gauge("cache_watchers", "Watchers open"), |m| m.watchers.load(Relaxed)),
            (gauge("cache_slow_closes", "Watchers closed for being slow"), |m| m.slow_closes.load(Relaxed)),
        ];
        let sizes = Family::<BatchLabels, Gauge>::default();
        registry.register("store_batches", "Commits, by how many transactions they held", sizes.clone());
        let batches = std::array::from_fn(|index| {
            let size = BATCH_BUCKETS.get(index).map_or("more".to_owned(), ToString::to_string);
            (sizes.get_or_create(&BatchLabels { up_to: size }).clone(), index)
        });
        let sessions = Counters::register(&mut registry);
        Self {
            registry,
            requests,
            sessions,
            connections,
            watches,
            store: store_gauges,
            batches,
            cache: cache_gauges,
            sources: (store, cache),
        }
    }

    pub(crate) fn answered(&self, resource: &'static str, method: &http::Method, code: u16) {
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => "other",
        };
        self.requests.get_or_create(&RequestLabels { resource, method, code }).inc();
    }

    /// Whether the store takes no more writes.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.sources.0.poisoned.load(Relaxed) > 0
    }

    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        for (gauge, read) in &self.store {
            set(gauge, read(&self.sources.0));
        }
        for (gauge, index) in &self.batches {
            set(gauge, self.sources.0.batches[*index].load(Relaxed));
        }
        for (gauge, read) in &self.cache {
            set(gauge, read(&self.sources.1));
        }
        let mut out = String::new();
        encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

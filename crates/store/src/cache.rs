//! The watch cache: every live object under a prefix, and the recent events, in memory. The store's writer brings it
//! up to date before it answers the committer, so a reader of the cache sees every write it knows of.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use drover_mutants::{Mutant, active};
use tokio::sync::watch;

use crate::{
    CacheMetrics, ChangeKind, Commit, Event, EventKind, KeyValue, ListOptions, Object, Observer, Result,
    Store, StoreError,
    live::{self, Live},
    metrics::count,
    queue::Queue,
    ring::Ring,
    writer::value_of,
};

/// What is served of one object at one revision.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The object.
    pub bytes: Bytes,
    /// The event that brought it to this revision. Both may be parts of one buffer.
    pub event: Bytes,
}

/// Makes the bytes to serve from the stored value, the revision, and what happened to the object then. Called once for
/// each revision of an object, on the writer's thread: quick, and without a panic.
pub type Encode = Arc<dyn Fn(EventKind, u64, &Bytes) -> Encoded + Send + Sync>;

/// How a cache is set up.
#[derive(Clone)]
pub struct CacheOptions {
    /// Makes the bytes to serve.
    pub encode: Encode,
    /// Events kept for watchers that resume and lists at a revision.
    pub ring_events: usize,
    /// Bytes of those events.
    pub ring_bytes: usize,
}

impl CacheOptions {
    /// The default bounds.
    pub fn new(encode: impl Fn(EventKind, u64, &Bytes) -> Encoded + Send + Sync + 'static) -> Self {
        Self { encode: Arc::new(encode), ring_events: 20_000, ring_bytes: 64 << 20 }
    }
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("ring_events", &self.ring_events)
            .field("ring_bytes", &self.ring_bytes)
            .finish_non_exhaustive()
    }
}

/// One page of a list from the cache.
#[derive(Debug, Clone)]
pub struct CachePage {
    /// The objects in rising key order.
    pub items: Vec<Arc<Object>>,
    /// The revision the list is of.
    pub revision: u64,
    /// Whether there are objects after the last one.
    pub more: bool,
    /// How many objects there are under the prefix, those before and on this page included.
    pub total: u64,
}

/// The watch cache.
pub struct Cache {
    prefix: Bytes,
    options: CacheOptions,
    inner: RwLock<Inner>,
    revision: watch::Sender<u64>,
    pub(crate) metrics: Arc<CacheMetrics>,
}

pub(crate) struct Inner {
    pub(crate) revision: u64,
    pub(crate) closed: bool,
    pub(crate) objects: Live,
    pub(crate) ring: Ring,
    pub(crate) watchers: BTreeMap<u64, (Bytes, Arc<Queue<Event>>)>,
    pub(crate) next: u64,
}

impl Cache {
    /// An empty cache for this prefix; [`Store::attach`] fills it.
    pub fn new(prefix: impl Into<Bytes>, options: CacheOptions) -> Arc<Self> {
        let inner = Inner {
            revision: 0,
            closed: false,
            objects: Live::default(),
            ring: Ring::new(options.ring_events, options.ring_bytes),
            watchers: BTreeMap::new(),
            next: 0,
        };
        Arc::new(Self {
            prefix: prefix.into(),
            options,
            inner: RwLock::new(inner),
            revision: watch::Sender::new(0),
            metrics: Arc::default(),
        })
    }

    /// A cache over a store, filled.
    pub async fn attach(
        store: &dyn Store,
        prefix: impl Into<Bytes>,
        options: CacheOptions,
    ) -> Result<Arc<Self>> {
        let cache = Self::new(prefix, options);
        store.attach(cache.clone()).await?;
        Ok(cache)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest revision seen.
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    /// Waits until the cache has seen this revision.
    pub async fn wait_for(&self, revision: u64) {
        let mut seen = self.revision.subscribe();
        // The sender is ours, so it cannot go away meanwhile.
        let _ = seen.wait_for(|seen| *seen >= revision).await;
    }

    /// The counters.
    pub fn metrics(&self) -> Arc<CacheMetrics> {
        self.metrics.clone()
    }

    /// A live object.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Object>> {
        self.read().objects.get(key).cloned()
    }

    /// Every live object under a prefix, and the revision this is of.
    pub fn snapshot(&self, prefix: &[u8]) -> (u64, Vec<Arc<Object>>) {
        let inner = self.read();
        (inner.revision, inner.objects.under(prefix, None).cloned().collect())
    }

    /// A list; at an older revision as long as the ring still reaches it, `Compacted` otherwise.
    pub fn list(&self, prefix: &[u8], options: &ListOptions) -> Result<CachePage> {
        let inner = self.read();
        let revision = options.revision.unwrap_or(inner.revision);
        inner.reaches(revision)?;
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let after = options.start_after.as_deref();
        let past = live::past(prefix, inner.ring.after(revision).rev());
        let total = inner.objects.count_at(prefix, &past);
        let mut all = inner.objects.under_at(prefix, after, &past);
        let items: Vec<_> = all.by_ref().take(limit).cloned().collect();
        let more = all.next().is_some();
        Ok(CachePage { items, revision, more, total })
    }

    /// The object for what the store itself returned: the cache's own when it has that revision.
    pub fn object(&self, found: &KeyValue) -> Arc<Object> {
        if let Some(object) = self.get(&found.key).filter(|object| object.mod_revision == found.mod_revision)
        {
            return object;
        }
        self.make(found)
    }

    fn make(&self, found: &KeyValue) -> Arc<Object> {
        let kind = if found.mod_revision == found.create_revision {
            EventKind::Created
        } else {
            EventKind::Modified
        };
        let Encoded { bytes, event } = (self.options.encode)(kind, found.mod_revision, &found.value);
        let KeyValue { key, mod_revision, create_revision, .. } = found.clone();
        Arc::new(Object { key, mod_revision, create_revision, bytes, event })
    }

    fn measure(&self, inner: &Inner) {
        self.metrics.objects.store(inner.objects.len() as u64, Relaxed);
        self.metrics.ring_events.store(inner.ring.events.len() as u64, Relaxed);
    }
}

impl Inner {
    pub(crate) fn reaches(&self, revision: u64) -> Result<()> {
        if revision < self.ring.floor {
            return Err(StoreError::Compacted { compacted: self.ring.floor });
        }
        if revision > self.revision {
            return Err(StoreError::FutureRevision { requested: revision, current: self.revision });
        }
        Ok(())
    }
}

impl Observer for Cache {
    fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    fn replay(&self) -> u64 {
        self.options.ring_events as u64
    }

    fn reset(&self, items: Vec<KeyValue>, revision: u64) {
        let mut inner = self.write();
        inner.objects = Live::of(items.iter().map(|found| self.make(found)));
        inner.ring.restart(revision);
        inner.revision = revision;
        let bytes: usize = inner.objects.values().map(|object| object.bytes.len()).sum();
        self.metrics.object_bytes.store(bytes as u64, Relaxed);
        self.measure(&inner);
        drop(inner);
        self.revision.send_replace(revision);
    }

    fn committed(&self, commit: &Commit) {
        // The bytes are made before the lock is taken: readers do not wait for that.
        let made: Vec<_> = commit
            .changes
            .iter()
            .filter(|change| change.key.starts_with(&self.prefix))
            .map(|change| {
                let kind = match change.kind {
                    ChangeKind::Delete { .. } => EventKind::Deleted,
                    ChangeKind::Put { .. } if change.create_revision == commit.revision => EventKind::Created,
                    ChangeKind::Put { .. } => EventKind::Modified,
                };
                let (key, create_revision) = (change.key.clone(), change.create_revision);
                let Encoded { bytes, event } =
                    (self.options.encode)(kind, commit.revision, value_of(&change.kind));
                let object = Object { key, mod_revision: commit.revision, create_revision, bytes, event };
                (kind, Arc::new(object))
            })
            .collect();
        let mut inner = self.write();
        let mut events = Vec::with_capacity(made.len());
        for (kind, object) in made {
            let previous = if kind == EventKind::Deleted && active(Mutant::StaleCache) {
                inner.objects.get(&object.key).cloned()
            } else if kind == EventKind::Deleted {
                inner.objects.remove(&object.key)
            } else {
                self.metrics.object_bytes.fetch_add(object.bytes.len() as u64, Relaxed);
                inner.objects.insert(object.clone())
            };
            if let Some(previous) = &previous {
                self.metrics.object_bytes.fetch_sub(previous.bytes.len() as u64, Relaxed);
            }
            events.push(Event { revision: commit.revision, kind, object, previous });
        }
        inner.revision = commit.revision;
        let metrics = &self.metrics;
        if !events.is_empty() {
            inner.watchers.retain(|_, (prefix, queue)| {
                let mine = events.iter().filter(|event| event.object.key.starts_with(prefix));
                let wanted = mine.clone().count();
                if wanted == 0 {
                    return true;
                }
                let open = queue.push(mine.cloned());
                if open {
                    metrics.delivered.fetch_add(wanted as u64, Relaxed);
                } else {
                    count(&metrics.slow_closes);
                    metrics.watchers.fetch_sub(1, Relaxed);
                }
                open
            });
        }
        events.into_iter().for_each(|event| inner.ring.push(event));
        inner.ring.trim();
        self.measure(&inner);
        drop(inner);
        self.revision.send_replace(commit.revision);
    }

    fn closed(&self) {
        let mut inner = self.write();
        inner.closed = true;
        for (_, queue) in std::mem::take(&mut inner.watchers).into_values() {
            queue.close(StoreError::Closed);
            self.metrics.watchers.fetch_sub(1, Relaxed);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

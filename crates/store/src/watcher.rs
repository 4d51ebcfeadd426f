//! Following a [`Cache`]: one watcher each.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{Cache, Event, Object, Result, StoreError, cache::Inner, metrics::count, queue::Queue};

/// Events a watcher reads at once of those it resumes with.
const PAGE_EVENTS: usize = 256;

/// Events under one prefix in rising revision, without gap or repeat. Dropping it ends it.
///
/// It holds one page of what it resumes with, and then what its queue does: who follows from far behind costs no more
/// than who is up to date. One that is so slow that what it has not read yet is let go of ends with `Compacted`.
pub struct Watcher {
    pub(crate) cache: Arc<Cache>,
    pub(crate) prefix: Bytes,
    /// How far it has read before it had a seat.
    pub(crate) position: u64,
    /// What it has read and not handed out.
    pub(crate) past: VecDeque<Event>,
    /// Its place among those that new events are queued for, once it is up to date.
    pub(crate) seat: Option<u64>,
    pub(crate) queue: Arc<Queue<Event>>,
}

impl Watcher {
    /// The next event. `Slow` when too many waited, `Compacted` when it resumed too slowly, `Closed` when the store
    /// went away. Safe to drop while it waits and to call again.
    pub async fn next(&mut self) -> Result<Event> {
        match self.try_past()? {
            Some(event) => Ok(event),
            None => self.queue.pop().await,
        }
    }

    /// The next event if there is one by now.
    pub fn try_next(&mut self) -> Result<Option<Event>, StoreError> {
        match self.try_past()? {
            Some(event) => Ok(Some(event)),
            None => self.queue.try_pop().transpose(),
        }
    }

    /// The next event of those it resumes with.
    fn try_past(&mut self) -> Result<Option<Event>> {
        while self.past.is_empty() && self.seat.is_none() {
            let cache = self.cache.clone();
            cache.read_on(self)?;
        }
        Ok(self.past.pop_front())
    }

    /// A revision up to which this watcher has handed out everything: what a bookmark may say. `None` while events
    /// wait.
    pub fn bookmark(&self) -> Option<u64> {
        if self.seat.is_none() || !self.past.is_empty() {
            return None;
        }
        self.cache.at_rest(|revision| self.queue.is_idle().then_some(revision))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            self.cache.forget(seat);
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl Cache {
    /// Follows the objects under a prefix from after revision `from`. What happened since is read in pages; after
    /// that, at most `capacity` events wait for the watcher.
    pub fn watch(self: &Arc<Self>, prefix: &[u8], from: u64, capacity: usize) -> Result<Watcher> {
        let mut watcher = self.behind(prefix, from, capacity);
        self.catch_up(&mut self.write(), &mut watcher)?;
        Ok(watcher)
    }

    /// A snapshot, and a watcher that goes on exactly where it ends.
    pub fn snapshot_and_watch(
        self: &Arc<Self>,
        prefix: &[u8],
        capacity: usize,
    ) -> Result<(u64, Vec<Arc<Object>>, Watcher)> {
        let mut inner = self.write();
        let (revision, items) = (inner.revision, inner.objects.under(prefix, None).cloned().collect());
        let mut watcher = self.behind(prefix, revision, capacity);
        self.catch_up(&mut inner, &mut watcher)?;
        Ok((revision, items, watcher))
    }

    fn behind(self: &Arc<Self>, prefix: &[u8], from: u64, capacity: usize) -> Watcher {
        Watcher {
            cache: self.clone(),
            prefix: Bytes::copy_from_slice(prefix),
            position: from,
            past: VecDeque::new(),
            seat: None,
            queue: Arc::new(Queue::new(capacity)),
        }
    }

    /// Reads on for a watcher that is behind; once it has all there is, it gets a seat, and what comes is queued.
    pub(crate) fn read_on(&self, watcher: &mut Watcher) -> Result<()> {
        self.catch_up(&mut self.write(), watcher)
    }

    fn catch_up(&self, inner: &mut Inner, watcher: &mut Watcher) -> Result<()> {
        if inner.closed {
            return Err(StoreError::Closed);
        }
        inner.reaches(watcher.position)?;
        for event in inner.ring.after(watcher.position) {
            // A revision is read whole, for the position is one.
            if watcher.past.len() >= PAGE_EVENTS && event.revision != watcher.position {
                return Ok(());
            }
            watcher.position = event.revision;
            if event.object.key.starts_with(&watcher.prefix) {
                watcher.past.push_back(event.clone());
            }
        }
        let id = inner.next;
        inner.next += 1;
        inner.watchers.insert(id, (watcher.prefix.clone(), watcher.queue.clone()));
        watcher.seat = Some(id);
        count(&self.metrics.watchers);
        Ok(())
    }

    pub(crate) fn forget(&self, id: u64) {
        if self.write().watchers.remove(&id).is_some() {
            self.metrics.watchers.fetch_sub(1, Relaxed);
        }
    }

    /// Looks at something while no commit is under way.
    pub(crate) fn at_rest<T>(&self, look: impl FnOnce(u64) -> T) -> T {
        let inner = self.read();
        look(inner.revision)
    }
}

//! One follower of a [`Cache`](crate::Cache).

use std::{collections::VecDeque, fmt, sync::Arc};

use bytes::Bytes;

use crate::{Cache, Event, Result, StoreError, queue::Queue};

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

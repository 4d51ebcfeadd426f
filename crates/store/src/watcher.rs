//! One follower of a [`Cache`](crate::Cache).

use std::{collections::VecDeque, fmt, sync::Arc};

use crate::{Cache, Event, Result, StoreError, queue::Queue};

/// Events under one prefix in rising revision, without gap or repeat. Dropping it ends it.
pub struct Watcher {
    pub(crate) cache: Arc<Cache>,
    pub(crate) id: u64,
    /// What it resumed with, before what came since.
    pub(crate) past: VecDeque<Event>,
    pub(crate) queue: Arc<Queue<Event>>,
}

impl Watcher {
    /// The next event. `Slow` when too many waited, `Closed` when the store went away. Safe to drop while it waits
    /// and to call again.
    pub async fn next(&mut self) -> Result<Event> {
        match self.past.pop_front() {
            Some(event) => Ok(event),
            None => self.queue.pop().await,
        }
    }

    /// The next event if there is one by now.
    pub fn try_next(&mut self) -> Result<Option<Event>, StoreError> {
        match self.past.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self.queue.try_pop().transpose(),
        }
    }

    /// A revision up to which this watcher has handed out everything: what a bookmark may say. `None` while events
    /// wait.
    pub fn bookmark(&self) -> Option<u64> {
        if !self.past.is_empty() {
            return None;
        }
        self.cache.at_rest(|revision| self.queue.is_idle().then_some(revision))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.cache.forget(self.id);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("id", &self.id).finish_non_exhaustive()
    }
}

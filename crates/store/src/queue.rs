//! The bounded queue between the writer and one watcher. The writer never waits: what does not fit closes the queue
//! and frees what it held.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{Result, StoreError};

#[derive(Debug)]
pub(crate) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    arrived: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: Option<StoreError>,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            state: Mutex::new(State { items: VecDeque::new(), closed: None }),
            arrived: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds all of `items`, or closes the queue as slow and says `false`.
    pub(crate) fn push(&self, items: impl Iterator<Item = T>) -> bool {
        let mut state = self.state();
        if state.closed.is_some() {
            return false;
        }
        for item in items {
            if state.items.len() == self.capacity {
                state.items = VecDeque::new();
                state.closed = Some(StoreError::Slow { capacity: self.capacity });
                break;
            }
            state.items.push_back(item);
        }
        let open = state.closed.is_none();
        drop(state);
        self.arrived.notify_one();
        open
    }

    /// Ends the queue; what waits in it is still handed out.
    pub(crate) fn close(&self, error: StoreError) {
        self.state().closed.get_or_insert(error);
        self.arrived.notify_one();
    }

    /// What waits first. Safe to drop and call again; only one task may wait.
    pub(crate) async fn pop(&self) -> Result<T> {
        loop {
            if let Some(answer) = self.try_pop() {
                return answer;
            }
            self.arrived.notified().await;
        }
    }

    /// What waits first, or how the queue ended; `None` when there is nothing to say yet.
    pub(crate) fn try_pop(&self) -> Option<Result<T>> {
        let mut state = self.state();
        match state.items.pop_front() {
            Some(item) => Some(Ok(item)),
            None => state.closed.clone().map(Err),
        }
    }

    /// Whether nothing waits and nothing has ended it.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        state.items.is_empty() && state.closed.is_none()
    }
}

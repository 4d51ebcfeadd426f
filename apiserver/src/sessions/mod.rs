//! The apiserver's side of nodes: how a host becomes one, its session, what it is told and what it reports.
//!
//! [`Sessions`] is the state that all sessions share. One dispatcher follows the store and keeps an index by node; a
//! session computes what its node lacks with a pure function. Reports are stored item by item, each in one
//! transaction with a marker of how far they are stored, and acknowledged then.
//!
//! Absent: messages, shared variables, exec and port-forward; more than one server for one store.

mod assignment_report;
mod counters;
mod credential;
mod desired;
mod dispatcher;
mod downward;
mod event_report;
mod heartbeat;
mod index;
mod join;
pub(crate) mod join_labels;
mod log_stream;
mod logs;
mod marker;
mod node_facts;
mod node_writer;
mod open_runs;
mod outgoing;
mod registry;
mod reports;
mod requests;
mod routes;
mod run_report;
mod session;
mod trigger;
mod upward;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::objects::Objects;
use index::Index;
use registry::Registry;

pub(crate) use counters::Counters;
pub(crate) use routes::{Route, answer};

/// Agents that may wait to be let in, per one that is being let in.
const WAITING_PER_SYNC: usize = 16;
/// An agent that is sent away comes back after this and up to as much again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How sessions are bounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_sessions: usize,
    pub(crate) max_syncs: usize,
    pub(crate) heartbeat: Duration,
    pub(crate) handshake: Duration,
}

/// A Node whose agent has been identified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The revision that created the Node. What was assigned to an earlier one of its name is none of its own.
    pub(crate) created: u64,
}

pub(crate) struct State {
    objects: Objects,
    server_id: String,
    bounds: Bounds,
    counters: Counters,
    registry: Registry,
    index: Mutex<Index>,
    inherited: Mutex<open_runs::Inherited>,
    /// Sockets open for sessions, greeted or not.
    sockets: Arc<Semaphore>,
    /// Agents being let in and brought up to date.
    syncs: Arc<Semaphore>,
    waiting: AtomicUsize,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What all sessions share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<State>);

/// The server is too busy to let an agent in.
#[derive(Debug)]
pub(crate) struct Busy;

impl Sessions {
    /// Fills the index and begins to follow the store.
    pub(crate) fn start(
        objects: Objects,
        bounds: Bounds,
        counters: Counters,
        (stop, tasks): (CancellationToken, TaskTracker),
    ) -> Result<Self, StoreError> {
        let (index, watchers) = dispatcher::begin(&objects.cache)?;
        let sessions = Self(Arc::new(State {
            server_id: objects.world.uuid_v4().to_string(),
            objects,
            bounds,
            counters,
            registry: Registry::new(bounds.max_sessions),
            index: Mutex::new(index),
            inherited: Mutex::default(),
            // A node that comes back may hold a second one for a moment.
            sockets: Arc::new(Semaphore::new(bounds.max_sessions + bounds.max_syncs)),
            syncs: Arc::new(Semaphore::new(bounds.max_syncs)),
            waiting: AtomicUsize::new(0),
            stop: stop.clone(),
            tasks: tasks.clone(),
        }));
        tasks.spawn(dispatcher::run(sessions.clone(), watchers, stop));
        Ok(sessions)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn to be let in and brought up to date. Few have one at a time, and a bounded number waits.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Busy> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        let before = self.0.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.0.waiting);
        if before >= self.0.bounds.max_syncs.saturating_mul(WAITING_PER_SYNC) {
            return Err(Busy);
        }
        let turn = self.0.syncs.clone().acquire_owned();
        match tokio::time::timeout(self.0.bounds.handshake, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Busy),
        }
    }

    /// When an agent that is sent away is to come back: each at another time.
    fn retry_after_ms(&self) -> u64 {
        let jitter = RETRY_AFTER.mul_f64(drover_world::unit(&*self.0.objects.world.entropy));
        u64::try_from((RETRY_AFTER + jitter).as_millis()).unwrap_or(u64::MAX)
    }
}

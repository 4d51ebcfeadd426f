//! Moves the log into the database on a thread and a connection of its own, small and often, so that a commit does
//! not pay for it.

use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use crate::{
    OpenError, Options, StoreError, StoreMetrics, error::is_fatal_error, file, lock::DirLock, metrics::count,
};

/// Passes begun, and whether one is under way.
#[derive(Default)]
struct Passes {
    state: Mutex<(u64, bool)>,
    over: Condvar,
}

impl Passes {
    fn set(&self, under_way: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (state.0 + u64::from(under_way), under_way);
        drop(state);
        self.over.notify_all();
    }
}

pub(crate) struct Checkpointer {
    passes: Arc<Passes>,
    wake: Option<SyncSender<()>>,
    broken: Arc<OnceLock<Arc<str>>>,
    full: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(
        path: &Path,
        options: &Options,
        metrics: Arc<StoreMetrics>,
        lock: Arc<DirLock>,
    ) -> Result<Self, OpenError> {
        let conn = file::connect(path, options)?;
        let (wake, woken) = sync_channel::<()>(1);
        let broken = Arc::new(OnceLock::new());
        let full = Arc::new(AtomicBool::new(false));
        let (breaks, fills) = (broken.clone(), full.clone());
        let passes = Arc::<Passes>::default();
        let passing = passes.clone();
        let run = move || {
            let mut failing = false;
            while woken.recv().is_ok() {
                passing.set(true);
                let done = file::set(&conn, "wal_checkpoint(PASSIVE)");
                passing.set(false);
                match done {
                    Ok(()) => {
                        failing = false;
                        count(&metrics.checkpoints);
                    }
                    // After a failed sync nobody knows what is on the disk, and a second one that succeeds does not
                    // tell: the log stays as it is, and writing ends.
                    Err(error) if is_fatal_error(&error) => {
                        let _ = breaks.set(reason(&error));
                        break;
                    }
                    // The log keeps everything until a later one succeeds; on a full disk that is when space returns.
                    Err(error) => {
                        fills.store(matches!(error, StoreError::DiskFull), Relaxed);
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "the store's log cannot be moved into the database yet");
                        }
                    }
                }
            }
            drop((conn, lock));
        };
        let thread = std::thread::Builder::new()
            .name("store-log".into())
            .spawn(run)
            .map_err(|source| OpenError::Io { path: path.into(), source })?;
        Ok(Self { passes, wake: Some(wake), broken, full, thread: Some(thread) })
    }

    /// Whether the disk was full for it since this was asked last.
    pub(crate) fn met_full_disk(&self) -> bool {
        self.full.swap(false, Relaxed)
    }

    /// Why it stopped for good, if it did.
    pub(crate) fn broken(&self) -> Option<Arc<str>> {
        self.broken.get().cloned()
    }

    /// Waits until no pass is under way; how many were begun so far.
    pub(crate) fn settle(&self) -> u64 {
        let state = self.passes.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = self.passes.over.wait_while(state, |(_, under_way)| *under_way);
        over.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Asks for a checkpoint; one that is already asked for does for both.
    pub(crate) fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }
}

fn reason(error: &StoreError) -> Arc<str> {
    match error {
        StoreError::Backend(source) => format!("the log could not be moved: {source}").into(),
        other => other.to_string().into(),
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

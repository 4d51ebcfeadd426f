//! Moves the log into the database on a thread and a connection of its own, small and often, so that a commit does
//! not pay for it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use crate::{
    OpenError, Options, StoreError, StoreMetrics, error::is_fatal_error, file, lock::DirLock, metrics::count,
};

pub(crate) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    broken: Arc<OnceLock<Arc<str>>>,
    full: Arc<AtomicBool>,
    /// Held while the log is being moved.
    moving: Arc<Mutex<()>>,
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
        let moving = Arc::new(Mutex::new(()));
        let (breaks, fills, moves) = (broken.clone(), full.clone(), moving.clone());
        let run = move || {
            let mut failing = false;
            while woken.recv().is_ok() {
                let moved = {
                    let _moving = moves.lock().unwrap_or_else(PoisonError::into_inner);
                    file::set(&conn, "wal_checkpoint(PASSIVE)")
                };
                match moved {
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
        Ok(Self { wake: Some(wake), broken, full, moving, thread: Some(thread) })
    }

    /// Held while the log is being moved: who holds it too keeps it from being.
    pub(crate) fn moving(&self) -> Arc<Mutex<()>> {
        self.moving.clone()
    }

    /// Whether the disk was full for it since this was asked last.
    pub(crate) fn met_full_disk(&self) -> bool {
        self.full.swap(false, Relaxed)
    }

    /// Why it stopped for good, if it did.
    pub(crate) fn broken(&self) -> Option<Arc<str>> {
        self.broken.get().cloned()
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

//! Moves the log into the database on a thread and a connection of its own, small and often, so that a commit does
//! not pay for it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use crate::{OpenError, Options, StoreMetrics, file, lock::DirLock, metrics::count};

/// Bytes committed between two wakes.
pub(crate) const EVERY_BYTES: u64 = 1 << 20;

pub(crate) struct Checkpointer {
    wake: Option<SyncSender<()>>,
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
        let failing = AtomicBool::new(false);
        let run = move || {
            while woken.recv().is_ok() {
                match file::set(&conn, "wal_checkpoint(PASSIVE)") {
                    Ok(()) => {
                        failing.store(false, Relaxed);
                        count(&metrics.checkpoints);
                    }
                    // The log keeps everything until a later one succeeds; on a full disk that is when space returns.
                    Err(error) if !failing.swap(true, Relaxed) => {
                        tracing::warn!(%error, "the store's log cannot be moved into the database yet");
                    }
                    Err(_) => {}
                }
            }
            drop((conn, lock));
        };
        let thread = std::thread::Builder::new()
            .name("store-log".into())
            .spawn(run)
            .map_err(|source| OpenError::Io { path: path.into(), source })?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Asks for a checkpoint; one that is already asked for does for both.
    pub(crate) fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
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

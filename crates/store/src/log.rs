//! How long the write-ahead log may get, and what the writer does about it.
//!
//! The log starts over when all of it is in the database and nobody reads it any more. A [`Mover`] moves it; when that
//! cannot keep up, the writer waits a moment for the readers; when somebody keeps a read open regardless (only another
//! program can), writes are refused at a hard bound rather than the disk filled.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::{Engine, Result, StoreError, StoreMetrics, checkpoint::Checkpointer, metrics::count};

/// Unmoved bytes that wake the other thread.
const WAKE_BYTES: u64 = 512 << 10;
/// Writes are refused when the log is so many times as long as it should be.
pub(crate) const REFUSE: u64 = 8;
/// A page of the log with its header.
pub(crate) const FRAME_BYTES: u64 = 4096 + 24;

/// Who moves the log into the database while there is time.
pub(crate) enum Mover {
    /// Another thread, with a connection of its own.
    Thread(Checkpointer),
    /// The writer itself, after a commit: for a store without threads.
    Writer,
}

impl Mover {
    /// Waits until the other thread, if there is one, is idle; says how often it has been at work.
    fn settle(&self) -> u64 {
        match self {
            Mover::Thread(checkpointer) => checkpointer.settle(),
            Mover::Writer => 0,
        }
    }
}

pub(crate) struct Log {
    mover: Mover,
    metrics: Arc<StoreMetrics>,
    /// How long it should be at most.
    bound: u64,
    bytes: u64,
    /// How long it was when the writer last waited for readers in vain.
    tried: u64,
}

impl Log {
    pub(crate) fn new(mover: Mover, metrics: Arc<StoreMetrics>, bound: u64) -> Self {
        Self { mover, metrics, bound: bound.max(WAKE_BYTES), bytes: 0, tried: 0 }
    }

    /// Whether there is room for another commit.
    pub(crate) fn room(&mut self, engine: &mut Engine) -> Result<()> {
        if let Mover::Thread(checkpointer) = &self.mover
            && let Some(reason) = checkpointer.broken()
        {
            engine.poison(reason);
            return Ok(());
        }
        let limit = self.bound * REFUSE;
        if self.bytes < limit {
            return Ok(());
        }
        loop {
            // Our own thread is no reason to refuse a write, however slow the disk under it is: it comes to an end.
            let passes = self.mover.settle();
            self.restart(engine);
            if self.bytes < limit {
                return Ok(());
            }
            if self.mover.settle() == passes {
                return Err(StoreError::LogStuck { bytes: self.bytes });
            }
        }
    }

    /// To be called after each commit.
    pub(crate) fn grown(&mut self, engine: &mut Engine) {
        if let Mover::Thread(checkpointer) = &self.mover
            && checkpointer.met_full_disk()
        {
            engine.let_reserve_go();
        }
        let mut unmoved = self.measure(engine);
        if unmoved >= WAKE_BYTES {
            match &self.mover {
                Mover::Thread(checkpointer) => checkpointer.wake(),
                Mover::Writer => {
                    self.move_now(engine);
                    unmoved = self.measure(engine);
                }
            }
        }
        // On a full disk the log is all the space there is.
        let bound = if engine.is_full() { WAKE_BYTES } else { self.bound };
        // What is not moved yet has to fit into what was kept back.
        let long = self.bytes > bound || engine.reserve_bytes().is_some_and(|kept| unmoved > kept / 2);
        if long && self.bytes >= self.tried + bound / 4 {
            self.restart(engine);
        }
    }

    fn move_now(&mut self, engine: &mut Engine) {
        match engine.checkpoint() {
            Ok(()) => count(&self.metrics.checkpoints),
            Err(StoreError::DiskFull) => drop(engine.let_reserve_go()),
            // Either it has ended writing, which says so itself, or a later one does what this one did not.
            Err(_) => {}
        }
    }

    fn restart(&mut self, engine: &mut Engine) {
        let mut done = engine.restart_log();
        if matches!(done, Err(StoreError::DiskFull)) && engine.let_reserve_go() {
            done = engine.restart_log();
        }
        match done {
            Ok(true) => (self.bytes, self.tried) = (0, 0),
            Ok(false) => self.tried = self.bytes,
            Err(error) => {
                tracing::warn!(%error, "the store's log cannot be moved into the database");
                self.tried = self.bytes;
            }
        }
        self.metrics.log_bytes.store(self.bytes, Relaxed);
    }

    /// How long the log is, and how much of it is not in the database yet.
    fn measure(&mut self, engine: &Engine) -> u64 {
        // A failure to ask is one of the next write too, which says so.
        let Ok((frames, moved)) = engine.log_frames() else { return 0 };
        self.bytes = frames * FRAME_BYTES;
        if frames == 0 {
            self.tried = 0;
        }
        self.metrics.log_bytes.store(self.bytes, Relaxed);
        frames.saturating_sub(moved) * FRAME_BYTES
    }
}

//! When a role is to end: SIGTERM or SIGINT.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals, caught from the moment this is made.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Begins to catch them.
    pub(crate) fn catch() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the first one.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

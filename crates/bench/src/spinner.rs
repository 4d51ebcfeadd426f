//! Keeps a core busy: on an idle virtual machine every hop waits for a processor to wake up, on a busy one it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Spins until it is dropped.
pub(crate) struct Spinner(Arc<AtomicBool>);

impl Spinner {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Self(stop)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

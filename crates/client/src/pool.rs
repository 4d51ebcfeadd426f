//! Connections that wait for the next request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

pub(crate) type Sender = SendRequest<Full<Bytes>>;

const MAX_IDLE: usize = 8;
/// Shorter than the ten seconds for which the server waits for the head of the next request.
const IDLE_FOR: Duration = Duration::from_secs(8);

#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<(Sender, Instant)>>,
}

impl Pool {
    /// The connection used last, so that the others grow old.
    pub(crate) fn take(&self) -> Option<Sender> {
        let now = Instant::now();
        let mut idle = self.lock();
        while let Some((sender, since)) = idle.pop() {
            if now.duration_since(since) >= IDLE_FOR {
                // Those below it are older still.
                idle.clear();
            } else if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(crate) fn give(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() == MAX_IDLE {
            idle.remove(0);
        }
        idle.push((sender, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What every controller is: a queue of keys, and a function that brings one key to where it should be.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use drover_client::WorkQueue;
use futures_util::FutureExt as _;
use jiff::Timestamp;

use crate::error::Error;
use crate::shared::Shared;

/// When a key is to be looked at again although nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Never.
    Done,
    /// At this time.
    At(Timestamp),
    /// After this long.
    After(Duration),
}

impl From<Option<Timestamp>> for Next {
    fn from(wake_at: Option<Timestamp>) -> Self {
        wake_at.map_or(Self::Done, Self::At)
    }
}

/// A controller. It has no state of its own: everything is in [`Shared`], and all of that can be found again.
pub(crate) trait Controller: 'static {
    /// What it is asked to look at.
    type Key: Ord + Clone + Debug + Send + Sync + 'static;

    /// Its name in logs.
    const NAME: &'static str;

    /// Its queue.
    fn queue(shared: &Shared) -> &WorkQueue<Self::Key>;

    /// Every key there is, for a resync.
    fn all(shared: &Shared) -> Vec<Self::Key>;

    /// Brings one key to where it should be.
    fn reconcile(shared: &Shared, key: &Self::Key) -> impl Future<Output = Result<Next, Error>> + Send;
}

/// Adds every key.
pub(crate) fn resync<C: Controller>(shared: &Shared) {
    let queue = C::queue(shared);
    for key in C::all(shared) {
        // Full: the rest is found by the next resync, which the overflow asks for.
        if queue.add(key).is_err() {
            shared.stats.refused();
            break;
        }
    }
}

/// Adds every key again if the queue had no room for some.
pub(crate) fn mend<C: Controller>(shared: &Shared) {
    if C::queue(shared).take_overflow() {
        tracing::warn!(controller = C::NAME, "the queue was full; everything is looked at again");
        shared.stats.refused();
        resync::<C>(shared);
    }
}

/// Works on keys until the queue is closed.
pub(crate) async fn work<C: Controller>(shared: Arc<Shared>) {
    let queue = C::queue(&shared).clone();
    while let Some(work) = queue.next().await {
        shared.stats.reconciled();
        let attempt = AssertUnwindSafe(C::reconcile(&shared, work.key())).catch_unwind().await;
        match attempt {
            Ok(Ok(Next::Done)) => work.done(),
            Ok(Ok(Next::After(delay))) => work.done_until(delay),
            Ok(Ok(Next::At(time))) => {
                let delay = time.duration_since(shared.world.clock.now());
                work.done_until(Duration::try_from(delay).unwrap_or_default());
            }
            Ok(Err(error)) => {
                shared.stats.failed();
                let (key, expected) = (work.key().clone(), error.is_expected());
                let delay = work.failed();
                let error = &error as &dyn std::error::Error;
                if expected {
                    tracing::debug!(controller = C::NAME, ?key, error, ?delay, "looks again");
                } else {
                    tracing::warn!(controller = C::NAME, ?key, error, ?delay, "failed, and is tried again");
                }
            }
            Err(_) => {
                shared.stats.panicked();
                let key = work.key().clone();
                let delay = work.failed();
                tracing::error!(controller = C::NAME, ?key, ?delay, "panicked, and is tried again");
            }
        }
    }
}

//! The agent's file descriptors: each live run that it waits for holds one, and some are kept back, so that however many
//! runs there are the agent can still write its journal, talk to its server and look at what runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

/// Kept back, for journal, session, streams of output and whatever is read in passing; half, where there are few.
const KEPT: u64 = 128;

/// How many are on live runs. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Descriptors(Arc<AtomicU64>);

/// One that is on a live run, until this goes.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicU64>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Descriptors {
    /// A place for one more live run; the error names the limit.
    pub(crate) fn take(&self) -> io::Result<Place> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let room = limit - KEPT.min(limit / 2);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| (held < room).then_some(held + 1))
            .map(|_| Place(Arc::clone(&self.0)))
            .map_err(|held| {
                io::Error::other(format!(
                    "{held} runs live on this node, as many as the agent's limit of {limit} open files allows"
                ))
            })
    }
}

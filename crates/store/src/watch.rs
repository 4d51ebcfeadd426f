//! The store's own watch: the past from the database, then what the writer hands on.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::{BoxFuture, Commit, Result, StoreError, StoreMetrics, metrics::count, queue::Queue};

/// Rows read from the past at a time.
const PAGE_ROWS: usize = 256;

/// Commits in rising revision, each with the changes under the watch's prefix; ends after an error.
pub struct Watch(Pin<Box<dyn Stream<Item = Result<Arc<Commit>>> + Send>>);

impl Watch {
    /// A watch over any stream that keeps the promise above: for other backends.
    pub fn new(stream: impl Stream<Item = Result<Arc<Commit>>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The next commit; `None` after an error.
    pub async fn next(&mut self) -> Option<Result<Arc<Commit>>> {
        self.0.next().await
    }
}

impl Stream for Watch {
    type Item = Result<Arc<Commit>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// What is read of the past.
pub(crate) trait Past: Send + Sync {
    /// The commits after `span.0` and up to `span.1` that touch the prefix, and how far that went; see
    /// [`read::changes`](crate::read::changes).
    fn changes(
        &self,
        prefix: Bytes,
        span: (u64, u64),
        rows: usize,
    ) -> BoxFuture<'_, Result<(Vec<Commit>, u64)>>;
}

type Commits = Arc<Queue<Arc<Commit>>>;

/// Where the writer leaves each commit for the watches.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    metrics: Arc<StoreMetrics>,
}

#[derive(Debug)]
struct State {
    revision: u64,
    next: u64,
    closed: bool,
    watches: BTreeMap<u64, (Bytes, Commits)>,
}

impl Hub {
    pub(crate) fn new(revision: u64, metrics: Arc<StoreMetrics>) -> Self {
        let state = State { revision, next: 0, closed: false, watches: BTreeMap::new() };
        Self { state: Mutex::new(state), metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, commit: &Arc<Commit>) {
        let mut state = self.state();
        state.revision = commit.revision;
        let metrics = &self.metrics;
        state.watches.retain(|_, (prefix, queue)| {
            let Some(part) = part(commit, prefix) else { return true };
            let open = queue.push(std::iter::once(part));
            if !open {
                count(&metrics.slow_closes);
                metrics.watches.fetch_sub(1, Relaxed);
            }
            open
        });
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        for (_, queue) in std::mem::take(&mut state.watches).into_values() {
            queue.close(StoreError::Closed);
            self.metrics.watches.fetch_sub(1, Relaxed);
        }
    }

    /// Starts a watch: what is committed from here on goes to its queue, what is before is read.
    pub(crate) fn watch(
        self: &Arc<Self>,
        prefix: Bytes,
        from: u64,
        capacity: usize,
        past: Weak<dyn Past>,
    ) -> Result<Watch> {
        let queue = Arc::new(Queue::new(capacity));
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let upto = state.revision;
        if from > upto {
            return Err(StoreError::FutureRevision { requested: from, current: upto });
        }
        let id = state.next;
        state.next += 1;
        state.watches.insert(id, (prefix.clone(), queue.clone()));
        count(&self.metrics.watches);
        drop(state);
        let following = Following {
            seat: Seat { hub: self.clone(), id },
            queue,
            past,
            prefix,
            read: VecDeque::new(),
            position: from,
            upto,
        };
        Ok(Watch::new(stream::unfold(Some(following), |following| async {
            let mut following = following?;
            let item = following.step().await;
            let rest = item.is_ok().then_some(following);
            Some((item, rest))
        })))
    }
}

/// The part of a commit under a prefix; the commit itself when that is all of it.
fn part(commit: &Arc<Commit>, prefix: &[u8]) -> Option<Arc<Commit>> {
    let mine = commit.changes.iter().filter(|change| change.key.starts_with(prefix)).count();
    if mine == commit.changes.len() {
        return Some(commit.clone());
    }
    (mine > 0).then(|| {
        let changes =
            commit.changes.iter().filter(|change| change.key.starts_with(prefix)).cloned().collect();
        Arc::new(Commit { revision: commit.revision, changes })
    })
}

/// A watch's place at the hub, given up when it is dropped.
struct Seat {
    hub: Arc<Hub>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.hub.state().watches.remove(&self.id).is_some() {
            self.hub.metrics.watches.fetch_sub(1, Relaxed);
        }
    }
}

struct Following {
    #[expect(dead_code, reason = "held for its drop")]
    seat: Seat,
    queue: Commits,
    past: Weak<dyn Past>,
    prefix: Bytes,
    read: VecDeque<Commit>,
    position: u64,
    upto: u64,
}

impl Following {
    async fn step(&mut self) -> Result<Arc<Commit>> {
        loop {
            if let Some(commit) = self.read.pop_front() {
                return Ok(Arc::new(commit));
            }
            if self.position >= self.upto {
                return self.queue.pop().await;
            }
            let past = self.past.upgrade().ok_or(StoreError::Closed)?;
            let span = (self.position, self.upto);
            let (commits, reached) = past.changes(self.prefix.clone(), span, PAGE_ROWS).await?;
            self.read = commits.into();
            self.position = reached;
        }
    }
}

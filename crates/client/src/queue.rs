//! A controller's work queue: which keys are to be looked at, and when.
//!
//! A key is in it once, however often it was added, and is never worked on by two workers at once. A key added
//! while it is worked on comes again afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_world::Entropy;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff;

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// Most keys waiting, delayed ones included.
    pub capacity: usize,
    /// The wait after a first failure.
    pub min_backoff: Duration,
    /// The longest wait after failures.
    pub max_backoff: Duration,
    /// The longest delay: whoever asks for more is woken earlier and asks again.
    pub max_delay: Duration,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(60),
            max_delay: Duration::from_secs(3600),
        }
    }
}

/// The queue has no room. The owner has to list everything again once it has; see [`WorkQueue::take_overflow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work queue is full")]
pub struct QueueFull;

/// A work queue. Clones are the same queue.
pub struct WorkQueue<K: Ord + Clone> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    options: QueueOptions,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State<K>>,
    wake: Notify,
}

struct State<K> {
    /// To be worked on now, first come first served. Each key is in `queued` too.
    ready: VecDeque<K>,
    queued: BTreeSet<K>,
    /// To be worked on later. A key that is in `queued` is not here.
    delayed: BTreeSet<(Instant, K)>,
    due: BTreeMap<K, Instant>,
    /// Being worked on, and whether it was added meanwhile.
    working: BTreeMap<K, bool>,
    failures: BTreeMap<K, u32>,
    overflowed: bool,
    closed: bool,
}

/// A key to be worked on. Nobody else gets it until this is done with. Dropped without a word (a panic, a
/// cancelled worker) it counts as failed.
pub struct Work<K: Ord + Clone> {
    key: K,
    shared: Arc<Shared<K>>,
    finished: bool,
}

impl<K: Ord + Clone> WorkQueue<K> {
    /// An empty queue.
    pub fn new(options: QueueOptions, entropy: Arc<dyn Entropy>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            queued: BTreeSet::new(),
            delayed: BTreeSet::new(),
            due: BTreeMap::new(),
            working: BTreeMap::new(),
            failures: BTreeMap::new(),
            overflowed: false,
            closed: false,
        };
        Self { shared: Arc::new(Shared { options, entropy, state: Mutex::new(state), wake: Notify::new() }) }
    }

    /// Adds a key to be worked on as soon as possible.
    pub fn add(&self, key: K) -> Result<(), QueueFull> {
        self.shared.add(key)
    }

    /// Adds a key to be worked on after a while. Of several times the earliest counts.
    pub fn add_after(&self, key: K, delay: Duration) -> Result<(), QueueFull> {
        self.shared.add_after(key, delay)
    }

    /// The next key, or none once the queue is closed.
    pub async fn next(&self) -> Option<Work<K>> {
        loop {
            let wake = self.shared.wake.notified();
            let due = {
                let mut state = self.shared.lock();
                if state.closed {
                    // The next worker has to hear it too.
                    self.shared.wake.notify_one();
                    return None;
                }
                state.ripen(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.queued.remove(&key);
                    state.working.insert(key.clone(), false);
                    return Some(Work { key, shared: Arc::clone(&self.shared), finished: false });
                }
                state.delayed.first().map(|(due, _)| *due)
            };
            match due {
                Some(due) => tokio::select! {
                    biased;
                    () = wake => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => wake.await,
            }
        }
    }

    /// Whether keys were refused since the last call. The owner then adds all keys it knows of again.
    pub fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.shared.lock().overflowed)
    }

    /// Lets workers go once they are done; what is queued is dropped.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }

    /// How many keys wait, delayed ones included.
    pub fn len(&self) -> usize {
        self.shared.lock().waiting()
    }

    /// Whether no key waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Ord + Clone> Work<K> {
    /// Which key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// It is as it should be.
    pub fn done(mut self) {
        self.finished = true;
        self.shared.finish(&self.key, None);
    }

    /// It is as it should be for now, and is to be looked at again after a while.
    pub fn done_until(mut self, delay: Duration) {
        self.finished = true;
        self.shared.finish(&self.key, Some(delay));
    }

    /// It did not work: try again after a wait that grows with each failure. Returns that wait.
    pub fn failed(mut self) -> Duration {
        self.finished = true;
        self.shared.fail(&self.key)
    }
}

impl<K: Ord + Clone> Drop for Work<K> {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.fail(&self.key);
        }
    }
}

impl<K: Ord + Clone> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: K) -> Result<(), QueueFull> {
        let mut state = self.lock();
        if let Some(again) = state.working.get_mut(&key) {
            *again = true;
            return Ok(());
        }
        if state.queued.contains(&key) {
            return Ok(());
        }
        let was_delayed = state.undelay(&key);
        if !was_delayed {
            state.admit(self.options.capacity)?;
        }
        state.enqueue(key);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn add_after(&self, key: K, delay: Duration) -> Result<(), QueueFull> {
        if delay.is_zero() {
            return self.add(key);
        }
        let due = Instant::now() + delay.min(self.options.max_delay);
        let mut state = self.lock();
        if state.queued.contains(&key) || state.due.get(&key).is_some_and(|earlier| *earlier <= due) {
            return Ok(());
        }
        if !state.undelay(&key) {
            state.admit(self.options.capacity)?;
        }
        state.delay(key, due);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn finish(&self, key: &K, delay: Option<Duration>) {
        let mut state = self.lock();
        state.failures.remove(key);
        if state.working.remove(key) == Some(true) {
            state.undelay(key);
            state.enqueue(key.clone());
        } else if let Some(delay) = delay {
            state.delay_at_most(key, Instant::now() + delay.min(self.options.max_delay));
        }
        drop(state);
        self.wake.notify_one();
    }

    fn fail(&self, key: &K) -> Duration {
        let mut state = self.lock();
        let failures = state.failures.entry(key.clone()).or_insert(0);
        let QueueOptions { min_backoff, max_backoff, .. } = self.options;
        let delay = backoff::delay(min_backoff, max_backoff, *failures, &*self.entropy);
        *failures = failures.saturating_add(1);
        // Also when it was added meanwhile: what keeps failing must not spin because it also keeps changing.
        state.working.remove(key);
        state.delay_at_most(key, Instant::now() + delay);
        drop(state);
        self.wake.notify_one();
        delay
    }
}

impl<K: Ord + Clone> State<K> {
    fn waiting(&self) -> usize {
        self.ready.len() + self.due.len()
    }

    /// Room is kept for what is being worked on, so that a failure can always be queued again.
    fn admit(&mut self, capacity: usize) -> Result<(), QueueFull> {
        if self.waiting() + self.working.len() >= capacity {
            self.overflowed = true;
            return Err(QueueFull);
        }
        Ok(())
    }

    fn enqueue(&mut self, key: K) {
        self.queued.insert(key.clone());
        self.ready.push_back(key);
    }

    fn delay(&mut self, key: K, due: Instant) {
        self.due.insert(key.clone(), due);
        self.delayed.insert((due, key));
    }

    fn delay_at_most(&mut self, key: &K, due: Instant) {
        let due = self.due.get(key).map_or(due, |earlier| due.min(*earlier));
        self.undelay(key);
        self.delay(key.clone(), due);
    }

    fn undelay(&mut self, key: &K) -> bool {
        let Some(due) = self.due.remove(key) else { return false };
        self.delayed.remove(&(due, key.clone()))
    }

    /// Moves what is due to where it is worked on.
    fn ripen(&mut self, now: Instant) {
        while let Some((due, _)) = self.delayed.first()
            && *due <= now
            && let Some((_, key)) = self.delayed.pop_first()
        {
            self.due.remove(&key);
            match self.working.get_mut(&key) {
                Some(again) => *again = true,
                None => self.enqueue(key),
            }
        }
    }
}

impl<K: Ord + Clone> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

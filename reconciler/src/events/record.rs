//! The memory between telling and writing: one entry per Event, with how often it was told, and a rate per object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_client::Key;
use drover_types::kinds::core::ObjectReference;
use drover_types::{Kind, ObjectMeta, Scope};
use drover_world::World;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::options::Options;
use crate::queues::Queues;
use crate::stats::Stats;

/// The namespace of Events about objects that are in none.
const CLUSTER_EVENTS: &str = "default";
/// Objects whose rate is remembered.
const MAX_RATES: usize = 8192;
/// Longest part of an object's name in the name of its Events.
const NAME_PART: usize = 200;

/// What an Event is about.
#[derive(Clone, Debug)]
pub(crate) struct About(pub(super) ObjectReference);

impl About {
    /// An object by its metadata.
    pub(crate) fn of(kind: Kind, metadata: &ObjectMeta) -> Self {
        let namespace = match kind.names().scope {
            Scope::Namespaced => metadata.namespace.clone().unwrap_or_default(),
            Scope::Cluster => String::new(),
        };
        Self(ObjectReference {
            api_version: kind.api_version().into(),
            kind: kind.names().kind.into(),
            namespace,
            name: metadata.name.clone(),
            uid: metadata.uid.clone(),
            ..ObjectReference::default()
        })
    }
}

/// An Event that waits to be written.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) about: ObjectReference,
    pub(super) type_: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) count: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

struct Rate {
    left: u32,
    since: Instant,
}

#[derive(Default)]
struct State {
    pending: BTreeMap<Key, Pending>,
    rates: BTreeMap<String, Rate>,
}

/// Where everything is told. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    state: Arc<Mutex<State>>,
    queues: Arc<Queues>,
    world: World,
    stats: Arc<Stats>,
    burst: u32,
    refill: Duration,
    max_pending: usize,
}

impl Recorder {
    pub(crate) fn new(queues: &Arc<Queues>, world: &World, stats: &Arc<Stats>, options: &Options) -> Self {
        Self {
            state: Arc::default(),
            queues: Arc::clone(queues),
            world: world.clone(),
            stats: Arc::clone(stats),
            burst: options.event_burst,
            refill: options.event_refill,
            max_pending: options.max_pending_events,
        }
    }

    /// Tells what is as it should be.
    pub(crate) fn tell(&self, about: &About, reason: &str, message: &str) {
        self.record(about, "Normal", reason, message);
    }

    /// Tells what somebody may want to look at.
    pub(crate) fn warn(&self, about: &About, reason: &str, message: &str) {
        self.record(about, "Warning", reason, message);
    }

    fn record(&self, about: &About, type_: &'static str, reason: &str, message: &str) {
        let now = self.world.clock.now();
        let key = key(&about.0, reason, message);
        let mut state = self.lock();
        if let Some(pending) = state.pending.get_mut(&key) {
            pending.count = pending.count.saturating_add(1);
            pending.last = now;
            return;
        }
        let event = Pending {
            about: about.0.clone(),
            type_,
            reason: reason.to_owned(),
            message: message.to_owned(),
            count: 1,
            first: now,
            last: now,
        };
        if state.pending.len() < self.max_pending && self.may(&mut state, &about.0.uid) {
            self.put(&mut state, key, event, Duration::ZERO);
            return;
        }
        self.stats.dropped_event();
        let told = format!("At most {} different ones at once, then one in {:?}.", self.burst, self.refill);
        let key = self::key(&about.0, "EventsDropped", &told);
        // There is room for one such entry for each object that has others, and no more.
        let room = state.pending.len() < self.max_pending.saturating_mul(2);
        if let Some(pending) = state.pending.get_mut(&key) {
            pending.count = pending.count.saturating_add(1);
            pending.last = now;
        } else if room {
            let dropped =
                Pending { type_: "Warning", reason: "EventsDropped".into(), message: told, ..event };
            // What is told of too much must not be too much itself.
            self.put(&mut state, key, dropped, self.refill);
        }
    }

    fn put(&self, state: &mut State, key: Key, event: Pending, delay: Duration) {
        state.pending.insert(key.clone(), event);
        // Without room it waits in memory until there is.
        let _ = self.queues.events.add_after(key, delay);
    }

    /// Takes one from an object's allowance.
    fn may(&self, state: &mut State, uid: &str) -> bool {
        let now = Instant::now();
        if state.rates.len() >= MAX_RATES && !state.rates.contains_key(uid) {
            let full = self.refill.saturating_mul(self.burst);
            state.rates.retain(|_, rate| now.duration_since(rate.since) < full);
            if state.rates.len() >= MAX_RATES {
                return false;
            }
        }
        let rate = state.rates.entry(uid.to_owned()).or_insert(Rate { left: self.burst, since: now });
        let elapsed = now.duration_since(rate.since).as_millis();
        let earned = elapsed / self.refill.as_millis().max(1);
        if earned > 0 {
            rate.left = rate.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(self.burst);
            rate.since = now;
        }
        match rate.left.checked_sub(1) {
            Some(left) => {
                rate.left = left;
                true
            }
            None => false,
        }
    }

    /// Takes out an Event to be written.
    pub(super) fn take(&self, key: &Key) -> Option<Pending> {
        self.lock().pending.remove(key)
    }

    /// Puts back what could not be written, added to what came meanwhile.
    pub(super) fn put_back(&self, key: &Key, event: Pending) {
        let mut state = self.lock();
        match state.pending.get_mut(key) {
            Some(pending) => {
                pending.count = pending.count.saturating_add(event.count);
                pending.first = event.first;
            }
            None => {
                state.pending.insert(key.clone(), event);
            }
        }
    }

    /// Keys of all that wait.
    pub(super) fn waiting(&self) -> Vec<Key> {
        self.lock().pending.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of an Event: the same object, reason and message are the same Event.
fn key(about: &ObjectReference, reason: &str, message: &str) -> Key {
    let mut hash = Sha256::new();
    for part in [&about.kind, &about.uid, reason, message] {
        hash.update(part);
        hash.update([0]);
    }
    let hex: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = about.name.get(..NAME_PART).unwrap_or(&about.name).trim_end_matches(['-', '.']);
    let namespace = if about.namespace.is_empty() { CLUSTER_EVENTS } else { &about.namespace };
    Key { namespace: namespace.to_owned(), name: format!("{name}.{hex}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(options: &Options) -> (Recorder, Arc<Stats>) {
        let (world, stats) = (World::system(), Arc::new(Stats::default()));
        let queues = Arc::new(Queues::new(options, &world.entropy));
        (Recorder::new(&queues, &world, &stats, options), stats)
    }

    fn about(name: &str) -> About {
        let uid = format!("uid-{name}");
        About(ObjectReference { kind: "Timer".into(), name: name.into(), uid, ..ObjectReference::default() })
    }

    fn counts(recorder: &Recorder, reason: &str) -> Vec<u32> {
        let state = recorder.lock();
        state.pending.values().filter(|p| p.reason == reason).map(|p| p.count).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_added_up_and_too_much_is_dropped_aloud() {
        let options = Options { event_burst: 2, ..Options::default() };
        let (recorder, stats) = recorder(&options);
        for _ in 0..3 {
            recorder.tell(&about("a"), "Same", "as ever");
        }
        assert_eq!(counts(&recorder, "Same"), [3]);
        for i in 0..4 {
            recorder.tell(&about("a"), "Other", &i.to_string());
        }
        assert_eq!((counts(&recorder, "Other"), counts(&recorder, "EventsDropped")), (vec![1], vec![3]));
        assert_eq!(stats.counts().dropped_events, 3);
        recorder.tell(&about("b"), "Other", "has an allowance of its own");
        tokio::time::advance(options.event_refill).await;
        recorder.tell(&about("a"), "Other", "later");
        assert_eq!(counts(&recorder, "Other").len(), 3);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_not_lost() {
        let (recorder, _) = recorder(&Options::default());
        recorder.tell(&about("a"), "Same", "as ever");
        let key = recorder.waiting().remove(0);
        let taken = recorder.take(&key).unwrap();
        recorder.tell(&about("a"), "Same", "as ever");
        recorder.put_back(&key, taken);
        assert_eq!(counts(&recorder, "Same"), [2]);
    }
}

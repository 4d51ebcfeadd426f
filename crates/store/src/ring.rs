//! Objects, events, and the bounded ring of recent events that watchers resume from.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use drover_mutants::{Mutant, active};

/// One object at one revision. Its bytes were made once; whoever holds it shares them.
#[derive(PartialEq, Eq)]
pub struct Object {
    /// The key.
    pub key: Bytes,
    /// The revision of this state; for a deletion, the deletion's.
    pub mod_revision: u64,
    /// The revision that created the key.
    pub create_revision: u64,
    /// What the cache's `Encode` made of the value.
    pub bytes: Bytes,
    /// What it made of the event that brought the object to this revision.
    pub event: Bytes,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is new.
    Created,
    /// It was there before.
    Modified,
    /// It is gone; the event's object is its last state under the revision of its deletion.
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change. Several events of one transaction share it.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// The object as it is now.
    pub object: Arc<Object>,
    /// The object as it was before.
    pub previous: Option<Arc<Object>>,
}

/// The events after `floor`, without a gap.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) events: VecDeque<Event>,
    pub(crate) floor: u64,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Ring {
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), floor: 0, bytes: 0, max_events, max_bytes }
    }

    pub(crate) fn restart(&mut self, floor: u64) {
        (self.events, self.floor, self.bytes) = (VecDeque::new(), floor, 0);
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.bytes += weight(&event);
        self.events.push_back(event);
    }

    /// Lets the oldest go until the bounds hold; a revision goes whole.
    pub(crate) fn trim(&mut self) {
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.front().map(|event| event.revision) else { break };
            while let Some(event) = self.events.pop_front_if(|event| event.revision == oldest) {
                self.bytes -= weight(&event);
            }
            self.floor = oldest;
        }
    }

    /// The events after `revision`.
    pub(crate) fn after(&self, revision: u64) -> impl DoubleEndedIterator<Item = &Event> {
        let first = revision + u64::from(active(Mutant::LateResume));
        let start = self.events.partition_point(|event| event.revision <= first);
        self.events.range(start..)
    }
}

fn weight(event: &Event) -> usize {
    event.object.event.len().max(event.object.bytes.len()) + event.object.key.len()
}

//! Events: what is told of an object, how often, and for how long it is kept.
//!
//! Telling is never in anybody's way: it goes into a bounded memory and is written later, added up. What a bound
//! refuses is counted, and told of the object as an Event of its own.

mod expire;
mod record;
mod write;

pub(crate) use expire::Expiry;
pub(crate) use record::{About, Recorder};
pub(crate) use write::Events;

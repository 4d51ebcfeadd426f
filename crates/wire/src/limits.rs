//! The bounds of the wire. A frame over one is refused before anything is parsed or allocated for it.

use crate::WireError;

/// Longest frame, header included. Larger desired states go in chunks.
pub const MAX_FRAME: usize = 1 << 20;
/// Longest payload of one data frame, so that no stream holds the socket for long.
pub const MAX_DATA: usize = 64 << 10;
/// Longest desired state, all chunks together.
pub const MAX_DESIRED: usize = 64 << 20;
/// Longest name of anything: node, namespace, object, uid, label key.
pub const MAX_NAME: usize = 317;
/// Longest text for people: a reason, a message, a version string.
pub const MAX_TEXT: usize = 4096;
/// Most items in one message's list.
pub const MAX_ITEMS: usize = 4096;
/// Most labels in a hello.
pub const MAX_LABELS: usize = 64;
/// The most starts that an agent may count: more than it ever makes, and far enough from the end of numbers for whoever
/// counts on from there.
pub const MAX_AGENT_EPOCH: u64 = 1 << 48;
/// What a stream's receiver allows at its opening, without saying so.
pub const DEFAULT_WINDOW: u32 = 256 << 10;
/// The most that may ever be allowed on a stream.
pub const MAX_WINDOW: u32 = 4 << 20;

/// A message whose parts have bounds of their own, beneath the frame's.
pub trait Bounded {
    /// Refuses a message with a part over its bound.
    fn check(&self) -> Result<(), WireError>;
}

pub(crate) fn at_most(what: &'static str, actual: usize, limit: usize) -> Result<(), WireError> {
    if actual > limit { Err(WireError::TooLarge { what, actual, limit }) } else { Ok(()) }
}

pub(crate) fn name(what: &'static str, value: &str) -> Result<(), WireError> {
    at_most(what, value.len(), MAX_NAME)
}

pub(crate) fn agent_epoch(value: u64) -> Result<(), WireError> {
    let limit = usize::try_from(MAX_AGENT_EPOCH).unwrap_or(usize::MAX);
    at_most("an agent's starts", usize::try_from(value).unwrap_or(usize::MAX), limit)
}

pub(crate) fn text(what: &'static str, value: &str) -> Result<(), WireError> {
    at_most(what, value.len(), MAX_TEXT)
}

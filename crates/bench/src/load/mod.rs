//! Load: clients that do one thing, many times, and take the time.

pub(crate) mod agents;
pub(crate) mod closed_loop;
pub(crate) mod watchers;

//! What the reconciler decides, over the whole fleet: who is ready, who gets what, how it went, what may go.
//!
//! Absent on purpose: rollout waves and blackout windows, which a later issue brings.

pub mod assignment;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod garbage;
pub mod history;
pub mod namespace;
pub mod node;
pub mod placement;
pub mod rollup;
pub mod run;

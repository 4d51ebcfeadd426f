//! Pure decisions: from what is wanted, what is observed and what time it is, to what is to be done.
//!
//! Absent on purpose: async, I/O, clocks, randomness.

pub mod fleet;
pub mod node;

//! The reconciler: controllers that make the stored fleet match what is wanted.
//!
//! Each controller loads what it needs from local copies, asks `drover-plan` what to do, and does it over HTTP. All
//! of them are level-triggered: a key says only that something is to be looked at, and any of them may be killed at
//! any instant and started again. Whatever would end something for good is first looked up at the server, for a
//! local copy may be late.
//!
//! Absent: rollout waves, triggers of a Task, GitSource, leader election (run one of it), and any decision that is not
//! about time or failure: those are pure, in `drover-plan`.

mod api;
mod assignments;
mod controller;
mod error;
mod events;
mod garbage;
mod history;
mod namespaces;
mod nodes;
mod options;
mod pools;
mod queues;
mod reconciler;
mod runs;
mod shared;
mod stats;
mod triggers;
mod view;
mod workloads;

pub use options::Options;
pub use reconciler::Reconciler;
pub use stats::{Counts, Stats};

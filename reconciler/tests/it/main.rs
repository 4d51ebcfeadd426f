//! The laws of the reconciler, against the real apiserver over pipes in memory. The tests play the agents.

mod crashes;
mod events;
mod fleet;
mod fleets;
mod going;
mod history;
mod manifests;
mod nodes;
mod placement;
mod seen;
mod tasks;

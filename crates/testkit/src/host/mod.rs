//! A simulated host: pretend processes that belong to their keepers, a boot id, facts.
//!
//! Keepers do what the real ones do, in the same order and on the host's disk: `started` before the process does
//! anything, the exit code after it, both synced. They outlive the agent, and go with the host.

mod behaviour;
mod keeper;
mod machine;
mod port;
mod processes;

pub use machine::SimMachine;
pub use port::Port;
pub use processes::SimHost;

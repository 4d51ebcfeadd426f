//! Makes one host match what is desired of it: observe, decide with `drover-plan`, act.
//!
//! A step of [`Agent`] looks at the keepers, lets the pure functions of `plan::node` decide, writes what was decided to
//! the journal, syncs, and only then spawns and signals. So it may be killed between any two instructions: a tick on
//! disk without a started process is resumed under the same run, a started process is found again by its run directory.
//! It needs no server: desired state is stored on the node, and reports wait until somebody takes them.
//!
//! Absent: the session with the server, the local socket, probes, messages and shared variables.

mod agent;
mod assignment;
mod config;
mod environment;
mod host;
mod journal;
mod launch;
mod ledger;
mod materials;
mod outcome;
mod report;

pub use agent::{Agent, AgentError, Handle};
pub use config::Config;
pub use host::{Host, Look, RealHost, Watch};

//! Makes one host match what is desired of it: observe, decide with `drover-plan`, act, and tell the server.
//!
//! A step of [`Agent`] looks at the keepers, lets the pure functions of `plan::node` decide, writes what was decided to
//! the journal, syncs, and only then spawns and signals. So it may be killed between any two instructions: a tick on
//! disk without a started process is resumed under the same run, a started process is found again by its run directory.
//! It needs no server: desired state is stored on the node, and reports wait until a session takes them.
//!
//! [`run_node`] is the whole of it: the lock, the credential, the loop and the session.
//!
//! Absent: the local socket, probes, messages and shared variables.

mod advance;
mod agenda;
mod agent;
mod assignment;
mod claim;
mod config;
mod counts;
mod credential;
mod crossing;
mod descriptors;
mod desired;
mod environment;
mod evacuate;
mod event;
mod handle;
mod heard;
mod history;
mod host;
mod host_id;
mod inbox;
mod join;
mod journal;
mod launch;
mod ledger;
mod lock;
mod machine;
mod mark;
mod materials;
mod memories;
mod node;
mod outcome;
mod output;
mod past;
mod report;
mod services;
mod session;
mod shelf;
mod status;
mod steer;
mod timers;
mod trigger;
mod unwritable;
mod welcome;

pub use agent::Agent;
pub use config::Config;
pub use drover_spawn::memory::forget_program;
pub use evacuate::end_runs;
pub use handle::{AgentError, FoundRun, Handle, Standing};
pub use host::{Host, Look, Output, Ready, RealHost, Watch};
pub use join::{JoinError, ServerAddress};
pub use lock::LockError;
pub use machine::{Machine, RealMachine};
pub use node::{NodeError, NodeOptions, run_node};

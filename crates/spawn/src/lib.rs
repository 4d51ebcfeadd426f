//! Processes that belong to their run and not to the agent that started them.
//!
//! A *keeper* (the program of `crates/keeper`), one per run, holds the child, its pipes and its exit code. An agent
//! that restarts, crashes or is upgraded finds every run again in its run directory and loses no output and no code.
//!
//! | to | call |
//! |---|---|
//! | start a run | [`Starter::ready`]`(run_dir, &RunSpec) -> Ready`, then [`starter::Ready::go`]`() -> Keeper` |
//! | learn that it started or failed to | [`Keeper::started_fd`] hangs up, then [`state::read`] |
//! | learn that it ended | [`Keeper::exit_fd`] (a pidfd) turns readable, then [`state::read`]; then [`Keeper::reap`] |
//! | find runs after a restart | [`keeper_process::list`]`(runs_dir)` (a result each), or [`keeper_process::find`]`(run_dir) -> Found`; then [`keeper_process::watch`] |
//! | signal the main process | [`Started::signal_main`]; the whole tree: [`Tree::signal`] |
//! | end everything of a run | [`Tree::of_run`]`(uid, &state).end()` (blocking: call it off the async threads) |
//! | read output | [`segments::Reader::open`]`(run_dir, from).poll()`, [`segments::tail`]`(run_dir, bytes)` |
//! | put runs in a cgroup | [`cgroup::create`]`(run_uid)`, given to the keeper as [`RunSpec::cgroup`] |
//! | know a user's ids and home | [`users::User::lookup`] |
//!
//! What a [`Found`] means: keeper alive, the run goes on. Keeper gone and state `Exited` or `FailedToStart`, the run is
//! over. Keeper gone and state `Started`, the keeper was killed: end the [`Tree`], the run is Lost. Keeper gone and
//! state `Nothing`, nothing was ever executed: the same run directory may be given to `ready` again.
//!
//! This is the workspace's only crate with `unsafe`: installing signal dispositions, `wait4`, the forks
//! of keepers and of their children, and `madvise`. It has no async and no threads; descriptors are handed out for the caller to wait on.
//!
//! Absent: terminals, resource limits and sandboxing; users and groups that are not in `/etc/passwd` and `/etc/group`.
#![allow(unsafe_code)]

pub mod cgroup;
pub mod child;
mod crc;
mod fork;
pub mod keeper_process;
pub mod leash;
pub mod memory;
pub mod order;
pub mod process;
pub mod segments;
pub mod spec;
pub mod starter;
pub mod state;
pub mod tree;
pub mod users;

pub use keeper_process::{Found, Keeper};
pub use leash::Leash;
pub use process::{Clocks, ProcessId, Signal};
pub use spec::{OutputLimits, RunSpec};
pub use starter::{SpawnError, Starter};
pub use state::{Exited, Outcome, RunState, Started};
pub use tree::Tree;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("drover-spawn knows the process interface of 64-bit Linux only");

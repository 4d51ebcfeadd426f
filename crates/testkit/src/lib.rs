//! The whole cluster in one thread: the real store, apiserver, reconciler and agents, on simulated disks, hosts, clocks
//! and networks. One seed, one history.
//!
//! [`run::run`] takes a [`run::Plan`] and gives an [`run::Outcome`]; `docs/testing.md` says how to read it. Time is
//! virtual: it jumps to whatever is due next. All parts run in one single-threaded runtime, and everything that they do to
//! the world goes through [`life::Life`], which is how they crash at any operation.
//!
//! Absent: TLS (a connection is what TLS gives), real processes (the crash suite has them), and time in a disk or a
//! processor: they take none.

mod authority;
pub mod bugs;
pub mod clock;
pub mod disk;
pub mod history;
pub mod host;
pub mod law;
pub mod life;
pub mod net;
pub mod part;
pub mod report;
pub mod run;
pub mod scenario;
pub mod seed;
pub mod shrink;
pub mod step;

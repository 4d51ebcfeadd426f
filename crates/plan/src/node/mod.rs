//! What one node does next: pure decisions over time given as an argument.
//!
//! | module | decides |
//! |---|---|
//! | [`schedule`] | when a timer ticks next, and which ticks are due |
//! | [`timer`] | what a tick does while an earlier execution lives |
//! | [`run`] | timeout, termination, retry of one execution |
//! | [`replicas`] | which replicas of a Service end, and which begin |
//! | [`service`] | when a replica is started again |
//! | [`lease`] | until when a workload that may move may run here |
//! | [`admission`] | who may run in a lane and under a mutex, in which order |
//! | [`run_name`] | what a run is called |
//!
//! Absent: I/O, clocks, randomness, and any memory but the values that the caller keeps and passes in.

pub mod admission;
pub mod cron;
pub mod lease;
pub mod replicas;
pub mod run;
pub mod run_name;
pub mod schedule;
pub mod service;
pub mod timer;

use std::time::Duration;

use jiff::Timestamp;

/// One moment on both clocks that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall-clock time, which may step.
    pub wall: Timestamp,
    /// Time since boot, which never does.
    pub boottime: Duration,
}

/// `base` doubled `times` times, at most `max`.
pub(crate) fn doubled(base: Duration, times: u32, max: Duration) -> Duration {
    base.checked_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).map_or(max, |wait| wait.min(max))
}

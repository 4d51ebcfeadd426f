//! The two clocks of a measurement, as nanoseconds.

use rustix::time::{ClockId, clock_gettime};

fn read(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// CLOCK_MONOTONIC: the same for every process of a machine, so stamps of different processes may be compared.
pub(crate) fn mono() -> u64 {
    read(ClockId::Monotonic)
}

/// CLOCK_REALTIME: what a timer is due by.
pub(crate) fn real() -> u64 {
    read(ClockId::Realtime)
}

/// Milliseconds between two readings.
pub(crate) fn ms(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

/// Seconds since a reading of [`mono`].
pub(crate) fn seconds_since(from: u64) -> f64 {
    mono().saturating_sub(from) as f64 / 1e9
}

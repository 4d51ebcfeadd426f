//! Time of day and time since boot.

use std::time::Duration;

use jiff::Timestamp;

/// What time it is, in both senses that matter here.
pub trait Clock: Send + Sync {
    /// Wall-clock time. It may step in either direction, so no duration is ever measured with it.
    fn now(&self) -> Timestamp;

    /// Time since the host booted: never steps, counts suspend. Comparable only within one boot id.
    fn boottime(&self) -> Duration;
}

/// The host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where wall-clock time comes in")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boottime(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The kernel never returns a negative boot time; the conversions only state that.
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_never_runs_backwards() {
        let first = SystemClock.boottime();
        assert!(first > Duration::ZERO);
        assert!(SystemClock.boottime() >= first);
    }
}

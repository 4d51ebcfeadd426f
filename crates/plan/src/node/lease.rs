//! Until when a node may do what could be done elsewhere without it: the lease of a workload that may move.
//!
//! A lease begins where the server is known to have heard of the node, and is measured in boot time. Everything is
//! over before it ends: processes are asked to end so early that their grace period, and the killing after it, fit in.

use std::time::Duration;

use drover_mutants::{Mutant, active};

use super::Now;

/// Between the end of a grace period and the end of the lease: for waking up, SIGKILL, and the kernel.
pub const MARGIN: Duration = Duration::from_secs(5);

/// What a lease allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// There is none: the workload never moves.
    Free,
    /// It holds. At this boot time its processes have to be asked to end, unless it was renewed.
    Held(Duration),
    /// Nothing may start, and what runs has to end.
    Lapsed,
}

impl Lease {
    /// Whether something may be started, or go on.
    pub fn holds(self) -> bool {
        match self {
            Self::Free | Self::Held(_) => true,
            Self::Lapsed => false,
        }
    }
}

/// What a lease of this length allows now, if the node was last known to be heard at `heard`.
pub fn lease(length: Option<Duration>, heard: Option<Duration>, grace: Duration, now: Now) -> Lease {
    let Some(length) = length.filter(|_| !active(Mutant::EndlessLease)) else { return Lease::Free };
    let Some(heard) = heard else { return Lease::Lapsed };
    // One too short for its own ending never holds.
    let stop_at = length.checked_sub(grace.saturating_add(MARGIN)).map(|usable| heard.saturating_add(usable));
    match stop_at {
        Some(at) if now.boottime < at => Lease::Held(at),
        Some(_) | None => Lease::Lapsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::run::{Live, Rules, Step, StopCause};
    use drover_types::kinds::template::Template;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn at(boottime: Duration) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, boottime }
    }

    proptest! {
        /// Whenever the agent looks, as long as it looks when it was told to: all is killed before the lease ends.
        #[test]
        fn all_is_over_before_the_lease_ends(
            length in 0..600_u64, grace in 0..120_u64, heard in 0..10_000_u64, looks in proptest::collection::vec(1..30_000_u64, 0..60),
        ) {
            let (length, heard) = (Duration::from_secs(length), Duration::from_secs(heard));
            let rules = Rules { grace: Duration::from_secs(grace), ..Rules::of(&Template::default()) };
            let end = heard + length;
            let mut live = Live::new(heard);
            let mut now = heard;
            if !lease(Some(length), Some(heard), rules.grace, at(now)).holds() {
                return Ok(());
            }
            let mut looks = looks.into_iter();
            for _ in 0..200 {
                let mut wake = match lease(Some(length), Some(heard), rules.grace, at(now)) {
                    Lease::Held(at) => at,
                    Lease::Lapsed => { live.stop(StopCause::LeaseLost, at(now)); Duration::MAX }
                    Lease::Free => unreachable!(),
                };
                match live.step(&rules, at(now)) {
                    Step::Wait(until) => wake = wake.min(until.unwrap_or(Duration::MAX)),
                    Step::Terminate(_) => wake = now,
                    Step::Kill => { prop_assert!(now < end, "killed at {now:?}, the lease ended at {end:?}"); return Ok(()); }
                }
                now = wake.min(now + Duration::from_millis(looks.next().unwrap_or(u64::MAX >> 20)));
            }
            prop_assert!(false, "it was never ended");
        }

        #[test]
        fn a_renewal_never_shortens_a_lease(length in 0..600_u64, heard in 0..1000_u64, later in 0..1000_u64, now in 0..3000_u64) {
            let held = |heard| lease(Some(Duration::from_secs(length)), Some(Duration::from_secs(heard)), Duration::ZERO, at(Duration::from_secs(now)));
            if let Lease::Held(before) = held(heard) {
                match held(heard + later) {
                    Lease::Held(after) => prop_assert!(after >= before),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }

    #[test]
    fn without_a_lease_nothing_lapses_and_without_word_of_the_server_nothing_holds() {
        let now = at(Duration::from_secs(9));
        assert_eq!(lease(None, None, Duration::ZERO, now), Lease::Free);
        assert_eq!(lease(Some(Duration::from_secs(90)), None, Duration::ZERO, now), Lease::Lapsed);
        let short = lease(Some(Duration::from_secs(20)), Some(now.boottime), Duration::from_secs(30), now);
        assert_eq!(short, Lease::Lapsed, "a lease that does not fit the grace period");
    }
}

//! When a replica of a Service is started again.
//!
//! The first restart is immediate; from the second failure on it waits, twice as long each time. Ten minutes up make
//! a replica as good as new.

use std::time::Duration;

use drover_types::kinds::service::{Restart, RestartPolicy};

use super::{Now, doubled};

/// How long a replica must have been up for its failures to be forgotten.
pub const STEADY: Duration = Duration::from_secs(600);

/// The rules of a restart, with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartRules {
    /// After which exits.
    pub policy: RestartPolicy,
    /// The wait after the second failure.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

impl RestartRules {
    /// The rules that a Service's `restart` means.
    pub fn of(restart: Option<&Restart>) -> Self {
        let or = |given: Option<drover_types::Duration>, default| {
            given.map_or(Duration::from_secs(default), drover_types::Duration::to_std)
        };
        Self {
            policy: restart.and_then(|r| r.policy).unwrap_or_default(),
            backoff: or(restart.and_then(|r| r.backoff), 1),
            max_backoff: or(restart.and_then(|r| r.max_backoff), 60),
        }
    }
}

/// What a replica has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Ends since it was last steady.
    pub failures: u32,
    /// Starts after the first.
    pub restarts: u64,
}

/// What follows an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Start again when boot time reaches this.
    StartAt(Duration),
    /// The policy wants no more of it.
    Stay,
}

impl Replica {
    /// Takes note of an end: whether it was an exit with code 0, and how long the process had been up.
    pub fn ended(&mut self, rules: &RestartRules, success: bool, up: Duration, now: Now) -> After {
        match rules.policy {
            RestartPolicy::Never => return After::Stay,
            RestartPolicy::OnFailure if success => return After::Stay,
            RestartPolicy::OnFailure | RestartPolicy::Always => {}
        }
        if up >= STEADY {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.restarts = self.restarts.saturating_add(1);
        let wait = match self.failures {
            1 => Duration::ZERO,
            n => doubled(rules.backoff, n - 2, rules.max_backoff),
        };
        After::StartAt(now.boottime.saturating_add(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, boottime: Duration::from_secs(1000) };

    fn wait(after: After) -> Duration {
        match after {
            After::StartAt(at) => at - NOW.boottime,
            After::Stay => panic!("it stays"),
        }
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_others_wait_ever_longer() {
        let rules = RestartRules::of(None);
        let mut replica = Replica::default();
        let waits: Vec<u64> = (0..9)
            .map(|_| wait(replica.ended(&rules, false, Duration::from_secs(3), NOW)).as_secs())
            .collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(replica.restarts, 9);
    }

    #[test]
    fn ten_minutes_up_reset_the_backoff() {
        let rules = RestartRules::of(None);
        let mut replica = Replica { failures: 40, restarts: 40 };
        assert_eq!(wait(replica.ended(&rules, false, STEADY, NOW)), Duration::ZERO);
        assert_eq!(wait(replica.ended(&rules, false, Duration::ZERO, NOW)), Duration::from_secs(1));
    }

    #[test]
    fn the_policy_says_who_stays_down() {
        let rules = |policy| RestartRules { policy, ..RestartRules::of(None) };
        let ended = |policy, success| Replica::default().ended(&rules(policy), success, Duration::ZERO, NOW);
        assert_eq!(ended(RestartPolicy::Never, false), After::Stay);
        assert_eq!(ended(RestartPolicy::OnFailure, true), After::Stay);
        assert_ne!(ended(RestartPolicy::OnFailure, false), After::Stay);
        assert_ne!(ended(RestartPolicy::Always, true), After::Stay);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(failures in any::<u32>(), backoff in 0..10_000_000_u64, max in 0..10_000_u64) {
            let max = Duration::from_secs(max);
            let rules = RestartRules { policy: RestartPolicy::Always, backoff: Duration::from_millis(backoff), max_backoff: max };
            let mut replica = Replica { failures, restarts: u64::MAX };
            prop_assert!(wait(replica.ended(&rules, false, Duration::ZERO, NOW)) <= max);
        }
    }
}

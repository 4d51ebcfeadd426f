//! One execution: its attempts, the timeout and termination of each, and the waits between them.
//!
//! Time is boot time throughout: a step of the wall clock neither ends a run nor delays a retry.

use std::time::Duration;

use drover_types::kinds::run::RunPhase;
use drover_types::kinds::template::{RetryOn, Template};
use serde::{Deserialize, Serialize};

use super::{Now, doubled};

/// The rules of an execution, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Ends an attempt this long after its exec.
    pub timeout: Option<Duration>,
    /// From the polite signal to SIGKILL.
    pub grace: Duration,
    /// Retries after the first attempt.
    pub retries: u32,
    /// Wait before the first retry.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// After which ends.
    pub retry_on: Vec<RetryOn>,
}

impl Rules {
    /// The rules that a template means.
    pub fn of(template: &Template) -> Self {
        let or = |given: Option<drover_types::Duration>, default| {
            given.map_or(Duration::from_secs(default), drover_types::Duration::to_std)
        };
        let retry = template.retry.as_ref();
        Self {
            timeout: template.timeout.map(drover_types::Duration::to_std),
            grace: or(template.process.termination_grace_period, 10),
            retries: retry.map_or(0, |r| r.limit),
            backoff: or(retry.and_then(|r| r.backoff), 10),
            max_backoff: or(retry.and_then(|r| r.max_backoff), 300),
            retry_on: retry
                .and_then(|r| r.on.clone())
                .unwrap_or_else(|| vec![RetryOn::Failed, RetryOn::TimedOut]),
        }
    }
}

/// Why a live process is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// It ran into `timeout`.
    Timeout,
    /// A later tick takes its place.
    Replaced,
    /// Its Assignment is gone, evicted, or wants fewer replicas.
    Removed,
    /// Its template changed.
    Changed,
    /// It might be started elsewhere: the server has not heard of this node for too long.
    LeaseLost,
}

impl StopCause {
    /// The CamelCase word for it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Timeout => "Timeout",
            Self::Replaced => "Replaced",
            Self::Removed => "Removed",
            Self::Changed => "TemplateChanged",
            Self::LeaseLost => "LeaseLost",
        }
    }
}

/// A live process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// When it was executed.
    pub started: Duration,
    /// Whether it is being ended.
    pub stop: Option<Stop>,
}

/// The ending of a live process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub cause: StopCause,
    /// Since when.
    pub since: Duration,
    /// Whether the polite signal was sent.
    pub signalled: bool,
    /// Whether SIGKILL was sent to the tree.
    pub killed: bool,
}

/// What to do about a live process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this boot time; absent: nothing until something happens.
    Wait(Option<Duration>),
    /// Send it the polite signal, for this cause.
    Terminate(StopCause),
    /// Send SIGKILL to its whole tree.
    Kill,
}

impl Live {
    /// A process that was executed at this boot time.
    pub fn new(started: Duration) -> Self {
        Self { started, stop: None }
    }

    /// Begins to end it. One that is being ended keeps its first cause.
    pub fn stop(&mut self, cause: StopCause, now: Now) {
        self.stop.get_or_insert(Stop { cause, since: now.boottime, signalled: false, killed: false });
    }

    /// What to do now. A step that is returned counts as taken; asked again, the next one is returned.
    pub fn step(&mut self, rules: &Rules, now: Now) -> Step {
        if self.stop.is_none()
            && let Some(deadline) = rules.timeout.map(|timeout| self.started.saturating_add(timeout))
        {
            if now.boottime < deadline {
                return Step::Wait(Some(deadline));
            }
            self.stop(StopCause::Timeout, now);
        }
        let Some(stop) = &mut self.stop else { return Step::Wait(None) };
        if !stop.signalled {
            stop.signalled = true;
            return Step::Terminate(stop.cause);
        }
        if stop.killed {
            return Step::Wait(None);
        }
        let kill_at = stop.since.saturating_add(rules.grace);
        if now.boottime < kill_at {
            return Step::Wait(Some(kill_at));
        }
        stop.killed = true;
        Step::Kill
    }
}

/// How an attempt ended, as the node saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It never executed.
    NotStarted,
    /// Its keeper was killed; the tree was ended without an exit code.
    KeeperDied,
    /// The host went down under it.
    HostRestarted,
}

/// The phase and reason of an attempt that ended, possibly while it was being ended.
pub fn verdict(ended: Ended, stop: Option<StopCause>) -> (RunPhase, &'static str) {
    match (ended, stop) {
        (Ended::KeeperDied, _) => (RunPhase::Lost, "KeeperDied"),
        (Ended::HostRestarted, _) => (RunPhase::Lost, "HostRestarted"),
        (Ended::NotStarted, _) => (RunPhase::Failed, "StartFailed"),
        (Ended::Code(_) | Ended::Signal(_), Some(StopCause::Timeout)) => (RunPhase::TimedOut, "Timeout"),
        // It came to its end by itself, or ended well when asked to.
        (Ended::Code(0), None) => (RunPhase::Succeeded, ""),
        (Ended::Code(0), Some(cause)) => (RunPhase::Succeeded, cause.reason()),
        (Ended::Code(_) | Ended::Signal(_), Some(cause)) => (RunPhase::Failed, cause.reason()),
        (Ended::Code(_), None) => (RunPhase::Failed, "ExitCode"),
        (Ended::Signal(_), None) => (RunPhase::Failed, "Signal"),
    }
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The execution is over.
    Done,
    /// Another attempt, when boot time reaches this.
    RetryAt(Duration),
}

/// What follows attempt number `attempt` (from 1) that ended now in `phase`.
pub fn next(rules: &Rules, attempt: u32, phase: RunPhase, stop: Option<StopCause>, now: Now) -> Next {
    // Who was ended on purpose is not wanted any more.
    if matches!(
        stop,
        Some(StopCause::Replaced | StopCause::Removed | StopCause::Changed | StopCause::LeaseLost)
    ) {
        return Next::Done;
    }
    let wanted = match phase {
        RunPhase::Failed => rules.retry_on.contains(&RetryOn::Failed),
        RunPhase::TimedOut => rules.retry_on.contains(&RetryOn::TimedOut),
        RunPhase::Lost => rules.retry_on.contains(&RetryOn::Lost),
        RunPhase::Pending | RunPhase::Running | RunPhase::Succeeded | RunPhase::Skipped => false,
    };
    if !wanted || attempt > rules.retries {
        return Next::Done;
    }
    let wait = doubled(rules.backoff, attempt.saturating_sub(1), rules.max_backoff);
    Next::RetryAt(now.boottime.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, boottime: Duration::from_secs(seconds) }
    }

    fn rules() -> Rules {
        Rules { timeout: Some(Duration::from_secs(60)), retries: 3, ..Rules::of(&Template::default()) }
    }

    #[test]
    fn a_timeout_signals_then_waits_then_kills() {
        let mut live = Live::new(Duration::from_secs(100));
        assert_eq!(live.step(&rules(), at(120)), Step::Wait(Some(Duration::from_secs(160))));
        assert_eq!(live.step(&rules(), at(161)), Step::Terminate(StopCause::Timeout));
        assert_eq!(live.step(&rules(), at(162)), Step::Wait(Some(Duration::from_secs(171))));
        assert_eq!(live.step(&rules(), at(171)), Step::Kill);
        assert_eq!(live.step(&rules(), at(900)), Step::Wait(None));
    }

    #[test]
    fn who_is_being_ended_keeps_the_first_cause() {
        let mut live = Live::new(Duration::ZERO);
        live.stop(StopCause::Replaced, at(1));
        live.stop(StopCause::Removed, at(2));
        assert_eq!(live.step(&rules(), at(3)), Step::Terminate(StopCause::Replaced));
        assert_eq!(live.step(&rules(), at(100)), Step::Kill, "no second cause, no second grace period");
    }

    #[test]
    fn nothing_is_succeeded_without_exit_code_0() {
        assert_eq!(verdict(Ended::Code(0), None).0, RunPhase::Succeeded);
        for ended in
            [Ended::Code(1), Ended::Signal(9), Ended::NotStarted, Ended::KeeperDied, Ended::HostRestarted]
        {
            for stop in [None, Some(StopCause::Timeout), Some(StopCause::Removed)] {
                assert_ne!(verdict(ended, stop).0, RunPhase::Succeeded, "{ended:?} {stop:?}");
            }
        }
        assert_eq!(verdict(Ended::Code(0), Some(StopCause::Timeout)).0, RunPhase::TimedOut);
        assert_eq!(verdict(Ended::KeeperDied, Some(StopCause::Timeout)), (RunPhase::Lost, "KeeperDied"));
    }

    #[test]
    fn retries_wait_ever_longer_and_end() {
        let waits: Vec<_> = (1..=4).map(|n| next(&rules(), n, RunPhase::Failed, None, at(0))).collect();
        let retry = |seconds| Next::RetryAt(Duration::from_secs(seconds));
        assert_eq!(waits, [retry(10), retry(20), retry(40), Next::Done]);
        assert_eq!(
            next(&rules(), 1, RunPhase::Lost, None, at(0)),
            Next::Done,
            "Lost is retried only if asked for"
        );
        let stopped = next(&rules(), 1, RunPhase::Failed, Some(StopCause::Removed), at(0));
        assert_eq!(stopped, Next::Done, "nobody wants it any more");
    }

    proptest! {
        #[test]
        fn every_stop_ends_in_a_kill_within_its_grace(looks in proptest::collection::vec(1..40_u64, 1..60)) {
            let mut live = Live::new(Duration::ZERO);
            live.stop(StopCause::Removed, at(0));
            let mut now = 0;
            let mut kills = 0;
            for wait in looks {
                match live.step(&rules(), at(now)) {
                    Step::Kill => { kills += 1; prop_assert!(now >= 10); }
                    Step::Wait(Some(until)) => prop_assert!(until <= Duration::from_secs(10)),
                    Step::Wait(None) => prop_assert_eq!(kills, 1),
                    Step::Terminate(_) => prop_assert_eq!(kills, 0),
                }
                now += wait;
            }
            prop_assert!(kills <= 1);
        }

        #[test]
        fn no_attempt_number_overflows(attempt in any::<u32>(), retries in any::<u32>(), backoff in any::<u32>()) {
            let rules = Rules { retries, backoff: Duration::from_secs(u64::from(backoff)), ..rules() };
            if let Next::RetryAt(when) = next(&rules, attempt, RunPhase::Failed, None, at(0)) {
                prop_assert!(when <= rules.max_backoff);
            }
        }
    }
}

//! An execution from its first attempt to its last end, under everything that can happen to its process.

use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::run::{Ended, Live, Next, Rules, Step, StopCause, next, verdict};
use drover_types::kinds::run::RunPhase;
use drover_types::kinds::template::{RetryOn, Template};
use jiff::Timestamp;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Time passes, so many milliseconds.
    Pass(u64),
    Exit(i32),
    Signal(i32),
    NotStarted,
    KeeperDied,
    Reboot,
    Stop(StopCause),
}

fn event() -> impl Strategy<Value = Event> {
    use StopCause::{Changed, LeaseLost, Removed, Replaced};
    prop_oneof![
        8 => prop_oneof![0..3000_u64, 0..100_000_u64].prop_map(Event::Pass),
        4 => prop_oneof![Just(0), 1..4_i32].prop_map(Event::Exit),
        2 => prop_oneof![Just(9), Just(15)].prop_map(Event::Signal),
        1 => Just(Event::NotStarted),
        1 => Just(Event::KeeperDied),
        1 => Just(Event::Reboot),
        1 => (0..4_usize).prop_map(|which| Event::Stop([Replaced, Removed, Changed, LeaseLost][which])),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let on = prop::sample::subsequence(vec![RetryOn::Failed, RetryOn::TimedOut, RetryOn::Lost], 0..=3);
    (prop::option::of(1..60_u64), 0..20_u64, 0..6_u32, 0..200_u64, 0..400_u64, on).prop_map(
        |(timeout, grace, retries, backoff, max, retry_on)| Rules {
            timeout: timeout.map(Duration::from_secs),
            grace: Duration::from_secs(grace),
            retries,
            backoff: Duration::from_secs(backoff),
            max_backoff: Duration::from_secs(max),
            retry_on,
        },
    )
}

/// How far an execution is.
enum Stage {
    Live { live: Live, signalled: Option<Duration>, killed: bool },
    Waiting { until: Duration },
    Over,
}

struct Execution {
    rules: Rules,
    now: Now,
    attempt: u32,
    stage: Stage,
    /// Of each attempt that ended: its phase, and the wait after it.
    past: Vec<(RunPhase, Option<Duration>)>,
}

impl Execution {
    fn new(rules: Rules) -> Self {
        let now = Now { wall: Timestamp::UNIX_EPOCH, boottime: Duration::from_secs(77) };
        let stage = Stage::Live { live: Live::new(now.boottime), signalled: None, killed: false };
        Self { rules, now, attempt: 1, stage, past: Vec::new() }
    }

    /// The agent steers until it is told to wait.
    fn steer(&mut self) {
        if let Stage::Waiting { until } = self.stage
            && until <= self.now.boottime
        {
            self.attempt += 1;
            self.stage = Stage::Live { live: Live::new(self.now.boottime), signalled: None, killed: false };
        }
        let Stage::Live { live, signalled, killed } = &mut self.stage else { return };
        for _ in 0..4 {
            let now = self.now.boottime;
            match live.step(&self.rules, self.now) {
                Step::Terminate(cause) => {
                    assert!(signalled.is_none(), "the polite signal is sent once");
                    *signalled = Some(now);
                    if cause == StopCause::Timeout {
                        let deadline = live.started + self.rules.timeout.expect("it has a timeout");
                        assert!(now >= deadline, "it ran into a timeout before its time");
                    }
                }
                Step::Kill => {
                    let since = signalled.expect("nothing is killed that was not asked to end");
                    assert!(!*killed && now >= since + self.rules.grace, "killed within its grace period");
                    *killed = true;
                }
                Step::Wait(Some(until)) => {
                    assert!(until > now, "an alarm in the past");
                    assert!(!*killed);
                    return;
                }
                Step::Wait(None) => {
                    let endless = signalled.is_none() && self.rules.timeout.is_none();
                    assert!(*killed || endless, "nobody looks again at what has to end");
                    return;
                }
            }
        }
        panic!("it never waits");
    }

    fn end(&mut self, ended: Ended) {
        let Stage::Live { live, .. } = &self.stage else { return };
        let stop = live.stop.map(|stop| stop.cause);
        let (phase, _) = verdict(ended, stop);
        match ended {
            Ended::Code(0) => assert!(matches!(phase, RunPhase::Succeeded | RunPhase::TimedOut)),
            Ended::Code(_) | Ended::Signal(_) | Ended::NotStarted => {
                assert!(matches!(phase, RunPhase::Failed | RunPhase::TimedOut), "{ended:?} is {phase:?}");
            }
            Ended::KeeperDied | Ended::HostRestarted => assert_eq!(phase, RunPhase::Lost),
        }
        assert_eq!(
            phase == RunPhase::TimedOut,
            stop == Some(StopCause::Timeout) && matches!(ended, Ended::Code(_) | Ended::Signal(_))
        );
        let on_purpose = stop.is_some_and(|cause| cause != StopCause::Timeout);
        let retried = match phase {
            RunPhase::Failed => self.rules.retry_on.contains(&RetryOn::Failed),
            RunPhase::TimedOut => self.rules.retry_on.contains(&RetryOn::TimedOut),
            RunPhase::Lost => self.rules.retry_on.contains(&RetryOn::Lost),
            _ => false,
        };
        let wanted = retried && !on_purpose && self.attempt <= self.rules.retries;
        self.stage = match next(&self.rules, self.attempt, phase, stop, self.now) {
            Next::Done => {
                assert!(!wanted, "attempt {} of {} was the last", self.attempt, self.rules.retries + 1);
                self.past.push((phase, None));
                Stage::Over
            }
            Next::RetryAt(until) => {
                assert!(wanted, "attempt {} after {phase:?} is not wanted", self.attempt + 1);
                self.past.push((phase, Some(until - self.now.boottime)));
                Stage::Waiting { until }
            }
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_execution_goes_forward_only_and_ends_after_exactly_its_retries(
        rules in rules(), events in prop::collection::vec(event(), 1..80),
    ) {
        let mut it = Execution::new(rules.clone());
        it.steer();
        for event in events {
            match event {
                Event::Pass(ms) => it.now.boottime += Duration::from_millis(ms),
                Event::Exit(code) => it.end(Ended::Code(code)),
                Event::Signal(number) => it.end(Ended::Signal(number)),
                Event::NotStarted => it.end(Ended::NotStarted),
                Event::KeeperDied => it.end(Ended::KeeperDied),
                Event::Reboot => it.end(Ended::HostRestarted),
                Event::Stop(cause) => if let Stage::Live { live, .. } = &mut it.stage {
                    let before = live.stop;
                    live.stop(cause, it.now);
                    if before.is_some() {
                        prop_assert_eq!(live.stop, before, "the first cause counts");
                    }
                },
            }
            it.steer();
        }
        prop_assert!(it.attempt <= rules.retries + 1);
        let over = it.past.iter().position(|(_, wait)| wait.is_none());
        prop_assert!(over.is_none_or(|at| at + 1 == it.past.len()), "something came after the end");
        let waits: Vec<Duration> = it.past.iter().filter_map(|(_, wait)| *wait).collect();
        prop_assert!(waits.is_sorted(), "waits grow: {waits:?}");
        for (at, wait) in (0_u32..).zip(waits) {
            prop_assert_eq!(wait, (rules.backoff * 2_u32.pow(at)).min(rules.max_backoff));
        }
    }

    /// Nobody ends well: there are exactly the attempts that were asked for.
    #[test]
    fn what_always_fails_is_tried_once_and_then_as_often_as_retries_say(retries in 0..40_u32, code in 1..256_i32) {
        let rules = Rules { retries, ..Rules::of(&Template::default()) };
        let mut it = Execution::new(rules);
        while !matches!(it.stage, Stage::Over) {
            it.end(Ended::Code(code));
            it.now.boottime += Duration::from_secs(300);
            it.steer();
        }
        prop_assert_eq!(it.attempt, retries + 1);
    }
}

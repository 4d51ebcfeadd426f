//! A timer on a node where anything happens: looks, crashes before and after the write, downtimes, reboots, clock
//! steps, suspension, ends of executions. Beside it, a list of every tick there is.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::schedule::{Anchor, LateRules, MAX_CAUGHT_UP, PUNCTUAL, Schedule, Tick, due};
use drover_plan::node::timer::{MAX_QUEUED, Verdict, decide};
use drover_types::kinds::timer::{CatchUp, ConcurrencyPolicy, TimerSpec};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// What a timer goes by, small enough to list its ticks without any of the crate's arithmetic.
#[derive(Clone, Copy, Debug)]
enum Rule {
    EveryMs(i64),
    /// `*/N` in the minute field, in UTC.
    MinutesOf(i64),
}

impl Rule {
    fn spec(self) -> TimerSpec {
        match self {
            Self::EveryMs(ms) => {
                TimerSpec { every: Some(format!("{ms}ms").parse().unwrap()), ..TimerSpec::default() }
            }
            Self::MinutesOf(n) => TimerSpec { cron: Some(format!("*/{n} * * * *")), ..TimerSpec::default() },
        }
    }

    /// Every tick after `after`, in milliseconds since the epoch.
    fn after(self, after: i64) -> impl Iterator<Item = i64> {
        let (step, minutes) = match self {
            Self::EveryMs(ms) => (ms, None),
            Self::MinutesOf(n) => (MINUTE, Some(n)),
        };
        let first = (after.div_euclid(step) + 1) * step;
        let ticks = move |at: &i64| minutes.is_none_or(|n| (at / MINUTE) % 60 % n == 0);
        (0..).map(move |n| first + n * step).filter(ticks)
    }
}

fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn stamp(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap()
}

/// What is to be run of the ticks in `(cursor, time]`, read off the list of them.
fn expected(ticks: &[i64], rules: &LateRules, time: i64) -> Vec<i64> {
    let Some(newest) = ticks.last().copied() else { return Vec::new() };
    let allowed = |at: i64| rules.starting_deadline.is_none_or(|d| time - at <= d.as_millis() as i64);
    let on_time = time - newest <= PUNCTUAL.as_millis() as i64 && allowed(newest);
    match rules.catch_up {
        CatchUp::Skip => Some(newest).filter(|_| on_time).into_iter().collect(),
        CatchUp::Once => Some(newest).filter(|at| allowed(*at)).into_iter().collect(),
        CatchUp::All => {
            let mut all: Vec<i64> =
                ticks.iter().copied().filter(|at| allowed(*at)).take(MAX_CAUGHT_UP).collect();
            if on_time && all.last() != Some(&newest) {
                all.push(newest);
            }
            all
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Queued,
    Live { replaced: bool },
}

/// What an agent has on disk.
#[derive(Clone, Debug)]
struct Disk {
    cursor: Timestamp,
    suspended: bool,
    claims: Vec<(Timestamp, Stage)>,
}

/// What it has in memory.
struct Agent {
    anchor: Anchor,
    looked: Option<Now>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time passes and the agent looks.
    Look(i64),
    /// Time passes up to the moment for which the agent set its alarm, or this long; it looks.
    Alarm(i64),
    /// The agent decides, dies before or after its decisions are on disk, and is back so much later.
    Crash {
        written: bool,
        down: i64,
    },
    /// The host goes down and is back so much later.
    Reboot {
        down: i64,
    },
    /// Somebody sets the wall clock.
    Set(i64),
    Suspend(bool),
    /// The oldest execution ends.
    End,
}

fn step(farthest: i64) -> impl Strategy<Value = Step> {
    let short = prop_oneof![0..30_000_i64, 0..40 * MINUTE];
    let long = prop_oneof![0..20_000_i64, 0..3 * 60 * MINUTE, 0..2 * DAY];
    prop_oneof![
        4 => short.clone().prop_map(Step::Look),
        6 => short.prop_map(Step::Alarm),
        3 => (any::<bool>(), long.clone()).prop_map(|(written, down)| Step::Crash { written, down }),
        1 => long.prop_map(|down| Step::Reboot { down }),
        2 => (-farthest..=farthest).prop_map(Step::Set),
        1 => any::<bool>().prop_map(Step::Suspend),
        6 => Just(Step::End),
    ]
}

/// One node with one timer.
struct World {
    rule: Rule,
    rules: LateRules,
    policy: ConcurrencyPolicy,
    schedule: Schedule,
    now: Now,
    disk: Disk,
    agent: Agent,
    suspend: bool,
    started: BTreeSet<Timestamp>,
    starts: u64,
    /// Whether a cursor was given up since: from there on, what ran under the wrong clock may run again.
    rewound: bool,
    alarm: Option<Timestamp>,
}

impl World {
    fn new(rule: Rule, policy: ConcurrencyPolicy, rules: LateRules) -> Self {
        let now = Now { wall: stamp(1_774_700_000_123), boottime: Duration::from_secs(500) };
        Self {
            rule,
            rules,
            policy,
            schedule: Schedule::of(&rule.spec(), "w", "n").unwrap(),
            now,
            disk: Disk { cursor: now.wall, suspended: false, claims: Vec::new() },
            agent: Agent { anchor: Anchor::new(now, now.wall), looked: None },
            suspend: false,
            started: BTreeSet::new(),
            starts: 0,
            rewound: false,
            alarm: None,
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now.wall = self.now.wall.checked_add(SignedDuration::from_millis(ms)).unwrap();
        self.now.boottime += Duration::from_millis(ms.unsigned_abs());
    }

    /// The time that the timer goes by.
    fn time(&self) -> Timestamp {
        if self.schedule.is_periodic() { self.agent.anchor.time(self.now) } else { self.now.wall }
    }

    /// What the agent decides now. Nothing of it is on disk, and nothing has begun.
    fn decide(&mut self) -> (Disk, Vec<Tick>) {
        let mut next = self.disk.clone();
        let time = self.time();
        if self.suspend != next.suspended {
            next.suspended = self.suspend;
            next.cursor = time.max(next.cursor);
        }
        self.alarm = None;
        if self.suspend {
            return (next, Vec::new());
        }
        let before = self.agent.looked.replace(self.now).filter(|_| !self.schedule.is_periodic());
        let rules = self.rules.across(before, self.now);
        let found = due(&self.schedule, &rules, next.cursor, time);
        self.rewound |= ms(next.cursor) - ms(time) > DAY;
        self.check(&rules, next.cursor, time, &found);
        next.cursor = found.cursor.unwrap_or(next.cursor);
        self.alarm = found.next;
        (next, found.run)
    }

    fn check(
        &self,
        rules: &LateRules,
        cursor: Timestamp,
        time: Timestamp,
        found: &drover_plan::node::schedule::Due,
    ) {
        let wrong = ms(cursor) - ms(time) > DAY;
        let ticks: Vec<i64> = if wrong {
            Vec::new()
        } else {
            self.rule.after(ms(cursor)).take_while(|at| *at <= ms(time)).collect()
        };
        let want = expected(&ticks, rules, ms(time));
        assert_eq!(found.run.iter().map(|tick| ms(tick.time)).collect::<Vec<_>>(), want);
        let left = (ticks.len() - want.len()) as u64;
        assert!(
            if found.uncounted { found.skipped <= left } else { found.skipped == left },
            "{found:?}, {left}"
        );
        let last = if wrong { Some(time) } else { ticks.last().map(|at| stamp(*at)) };
        assert_eq!(found.cursor, last);
        let from = if wrong { ms(time) } else { ms(time).max(ms(cursor)) };
        let next = self.rule.after(from).next();
        assert_eq!(found.next.map(ms), next, "no alarm is set too late or too early");
    }

    /// The agent looks, writes, and acts.
    fn look(&mut self) {
        let (disk, run) = self.decide();
        self.disk = disk;
        for tick in run {
            self.tick(tick);
        }
        self.advance();
    }

    fn tick(&mut self, tick: Tick) {
        let mut policy = self.policy;
        // All that were missed are wanted, one after the other.
        if tick.late && self.rules.catch_up == CatchUp::All && policy == ConcurrencyPolicy::Forbid {
            policy = ConcurrencyPolicy::Queue;
        }
        let claims = &mut self.disk.claims;
        let queued = claims.iter().filter(|(_, stage)| *stage == Stage::Queued).count();
        match decide(policy, claims.len() - queued, queued) {
            Verdict::Start | Verdict::Queue => claims.push((tick.time, Stage::Queued)),
            Verdict::Replace => {
                claims.retain(|(_, stage)| *stage != Stage::Queued);
                for (_, stage) in claims.iter_mut() {
                    *stage = Stage::Live { replaced: true };
                }
                claims.push((tick.time, Stage::Queued));
            }
            Verdict::Skip(_) => assert!(!claims.is_empty(), "a tick was refused for nobody's sake"),
        }
    }

    /// Starts what waits for nobody.
    fn advance(&mut self) {
        for at in 0..self.disk.claims.len() {
            let live = self.disk.claims.iter().any(|(_, stage)| *stage != Stage::Queued);
            let (time, stage) = &mut self.disk.claims[at];
            if *stage == Stage::Queued && (!live || self.policy == ConcurrencyPolicy::Allow) {
                *stage = Stage::Live { replaced: false };
                self.starts += 1;
                assert!(self.started.insert(*time) || self.rewound, "{time} ran twice");
            }
        }
    }

    fn restart(&mut self) {
        self.agent = Agent { anchor: Anchor::new(self.now, self.disk.cursor), looked: None };
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Look(passed) => {
                self.pass(passed);
                self.look();
            }
            Step::Alarm(at_most) => {
                let ahead = self.alarm.map_or(at_most, |alarm| ms(alarm) - ms(self.time()));
                self.pass(ahead.clamp(0, at_most));
                self.look();
            }
            Step::Crash { written, down } => {
                let (disk, run) = self.decide();
                if written {
                    // What was decided is one write: the cursor with the claims it stands for.
                    self.disk = disk;
                    for tick in run {
                        self.tick(tick);
                    }
                }
                self.pass(down);
                self.restart();
                self.look();
            }
            Step::Reboot { down } => {
                self.disk.claims.retain(|(_, stage)| *stage == Stage::Queued);
                self.pass(down);
                self.now.boottime = Duration::from_secs(3);
                self.restart();
                self.look();
            }
            Step::Set(by) => {
                self.now.wall = self.now.wall.checked_add(SignedDuration::from_millis(by)).unwrap();
                self.look();
            }
            Step::Suspend(suspend) => {
                self.suspend = suspend;
                self.look();
            }
            Step::End => {
                if let Some(at) = self.disk.claims.iter().position(|(_, stage)| *stage != Stage::Queued) {
                    self.disk.claims.remove(at);
                }
                self.look();
            }
        }
        let live = self.disk.claims.iter().filter(|(_, stage)| *stage != Stage::Queued).count();
        let queued = self.disk.claims.len() - live;
        if self.policy != ConcurrencyPolicy::Allow {
            assert!(live <= 1, "{live} executions overlap under {:?}", self.policy);
            assert!(queued <= MAX_QUEUED);
        }
        match self.policy {
            ConcurrencyPolicy::Allow => assert_eq!(queued, 0),
            ConcurrencyPolicy::Forbid if self.rules.catch_up != CatchUp::All => assert_eq!(queued, 0),
            ConcurrencyPolicy::Replace => {
                assert!(queued <= 1);
                let replaced = self.disk.claims.iter().any(|(_, s)| *s == Stage::Live { replaced: true });
                assert_eq!(queued == 1, replaced, "the old one ends, and then the new one starts");
            }
            ConcurrencyPolicy::Forbid | ConcurrencyPolicy::Queue => {}
        }
    }

    /// From here on nothing happens but time. A clock that was set back by a day may have to catch up with itself;
    /// after that, ticks come again.
    fn goes_on(&mut self) {
        self.take(Step::Suspend(false));
        let (before, end) = (self.starts, self.now.boottime + Duration::from_secs(28 * 3600));
        while self.now.boottime < end {
            self.disk.claims.clear();
            self.take(Step::Alarm(MINUTE));
        }
        assert!(
            self.starts - before > 3,
            "the timer fell silent: {} ticks in 28 hours",
            self.starts - before
        );
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1000..20_000_i64).prop_map(Rule::EveryMs),
        (MINUTE..90 * MINUTE).prop_map(Rule::EveryMs),
        (1..31_i64).prop_map(Rule::MinutesOf),
    ]
}

fn rules() -> impl Strategy<Value = LateRules> {
    let deadline = prop::option::of(prop_oneof![1..20_u64, 60..7200_u64]);
    (0..3_usize, deadline).prop_map(|(which, deadline)| LateRules {
        catch_up: [CatchUp::Skip, CatchUp::Once, CatchUp::All][which],
        starting_deadline: deadline.map(Duration::from_secs),
    })
}

fn policy() -> impl Strategy<Value = ConcurrencyPolicy> {
    use ConcurrencyPolicy::{Allow, Forbid, Queue, Replace};
    (0..4_usize).prop_map(|which| [Allow, Forbid, Replace, Queue][which])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    /// At most once always; all that the rules for late ticks promise at every look; no overlap but under Allow.
    #[test]
    fn a_tick_fires_at_most_once_and_within_its_window_at_least_once(
        rule in rule(), policy in policy(), rules in rules(), steps in prop::collection::vec(step(20 * 60 * MINUTE), 1..60),
    ) {
        let mut world = World::new(rule, policy, rules);
        for step in steps {
            world.take(step);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same under a clock that is set by years.
    #[test]
    fn no_clock_that_was_ever_wrong_silences_a_timer(
        rule in prop_oneof![(MINUTE..60 * MINUTE).prop_map(Rule::EveryMs), (1..31_i64).prop_map(Rule::MinutesOf)],
        policy in policy(), catch_up in 0..3_usize, steps in prop::collection::vec(step(400 * DAY), 1..12),
    ) {
        let catch_up = [CatchUp::Skip, CatchUp::Once, CatchUp::All][catch_up];
        let mut world = World::new(rule, policy, LateRules { catch_up, starting_deadline: None });
        for step in steps {
            world.take(step);
        }
        world.goes_on();
    }
}

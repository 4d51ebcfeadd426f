//! When a timer ticks next, and which of its ticks are due.
//!
//! Ticks are instants. The caller keeps a cursor, the last instant that was dealt with, on disk before anything is
//! started: so a tick is dealt with once, however often the agent restarts and wherever the clock is set.

use std::time::Duration;

use drover_mutants::{Mutant, active};
use drover_types::kinds::timer::{CatchUp, TimerSpec};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::Now;
use super::cron::CronSchedule;

/// A tick no later than this is on time: no agent is called down for the length of its own upgrade.
pub const PUNCTUAL: SignedDuration = SignedDuration::from_secs(10);
/// The most missed ticks that `catchUp: All` runs.
pub const MAX_CAUGHT_UP: usize = 100;
/// The most missed ticks that are counted one by one; beyond it, the count is a lower bound.
const MAX_COUNTED: u64 = 1000;
/// How far the wall clock may run ahead of the monotonic one before it counts as set.
const STEP: SignedDuration = SignedDuration::from_secs(30);
/// A cursor further ahead than this was written under a wrong clock, and counts for nothing.
const CREDIBLE: SignedDuration = SignedDuration::from_hours(24);

/// Why a timer has no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// None or several of `every`, `cron`, `at`, `onBoot`.
    #[error("exactly one of every, cron, at and onBoot must be set")]
    NotOne,
    /// A period of nothing.
    #[error("every must be at least 1ms")]
    NoPeriod,
    /// Not a cron line.
    #[error("cron: {0}")]
    Cron(String),
    /// Not a time zone that this host knows.
    #[error("timeZone {0:?} is not known on this node")]
    Zone(String),
}

/// When a timer ticks on one node.
#[derive(Clone, Debug)]
pub struct Schedule {
    rule: Rule,
    splay: SignedDuration,
}

#[derive(Clone, Debug)]
enum Rule {
    Every(i128),
    Cron(Box<CronSchedule>),
    At(Timestamp),
    OnBoot,
}

impl Schedule {
    /// The schedule of a timer on the node of this uid.
    pub fn of(spec: &TimerSpec, workload_uid: &str, node_uid: &str) -> Result<Self, ScheduleError> {
        let rule = match (spec.every, &spec.cron, spec.at, spec.on_boot) {
            (Some(every), None, None, None | Some(false)) if every.is_zero() => {
                return Err(ScheduleError::NoPeriod);
            }
            (Some(every), None, None, None | Some(false)) => {
                Rule::Every(i128::from(every.as_millis()) * 1_000_000)
            }
            (None, Some(line), None, None | Some(false)) => {
                Rule::Cron(Box::new(CronSchedule::parse(line, spec.time_zone.as_deref(), spec.dst)?))
            }
            (None, None, Some(at), None | Some(false)) => Rule::At(at),
            (None, None, None, Some(true)) => Rule::OnBoot,
            _ => return Err(ScheduleError::NotOne),
        };
        let splay = spec.splay.map_or(SignedDuration::ZERO, |splay| offset(splay, workload_uid, node_uid));
        Ok(Self { rule, splay })
    }

    /// The first tick later than `after`. One that ticks on boot has none by the clock.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let base = after.checked_sub(self.splay).ok()?;
        let tick = match &self.rule {
            Rule::Every(period) => {
                let next = (base.as_nanosecond().div_euclid(*period) + 1).checked_mul(*period)?;
                Timestamp::from_nanosecond(next).ok()?
            }
            Rule::Cron(cron) => cron.next_after(base)?,
            Rule::At(at) => Some(*at).filter(|at| *at > base)?,
            Rule::OnBoot => return None,
        };
        tick.checked_add(self.splay).ok()
    }

    /// Whether it ticks once per boot.
    pub fn is_on_boot(&self) -> bool {
        matches!(self.rule, Rule::OnBoot)
    }

    /// Whether its period is counted on the monotonic clock.
    pub fn is_periodic(&self) -> bool {
        matches!(self.rule, Rule::Every(_))
    }

    /// The last tick in `(after, until]`.
    fn last_in(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        if let Rule::Every(period) = &self.rule {
            let base = until.checked_sub(self.splay).ok()?;
            let last = Timestamp::from_nanosecond(base.as_nanosecond().div_euclid(*period) * period).ok()?;
            return last.checked_add(self.splay).ok().filter(|last| *last > after);
        }
        let mut found = self.next_after(after).filter(|tick| *tick <= until)?;
        // Halves the stretch that may hold a later one, until it is too short for two ticks.
        let (mut low, mut high) = (found.as_millisecond(), until.as_millisecond());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let next = Timestamp::from_millisecond(middle).ok().and_then(|middle| self.next_after(middle));
            match next.filter(|tick| *tick <= until) {
                Some(tick) => {
                    found = tick;
                    low = middle.max(tick.as_millisecond());
                }
                None => high = middle,
            }
        }
        Some(found)
    }

    /// How many ticks are in `(after, until]`, and whether there are more than were counted.
    fn count_in(&self, after: Timestamp, until: Timestamp) -> (u64, bool) {
        if let Rule::Every(period) = &self.rule {
            let index = |at: Timestamp| (at.as_nanosecond() - self.splay.as_nanos()).div_euclid(*period);
            return (u64::try_from(index(until) - index(after)).unwrap_or(0), false);
        }
        let mut at = after;
        for counted in 0..MAX_COUNTED {
            match self.next_after(at).filter(|tick| *tick <= until) {
                Some(tick) => at = tick,
                None => return (counted, false),
            }
        }
        (MAX_COUNTED, self.next_after(at).is_some_and(|tick| tick <= until))
    }
}

/// A stable offset in `[0, splay)`: the same for a workload on a node, whenever it is asked for.
fn offset(splay: drover_types::Duration, workload_uid: &str, node_uid: &str) -> SignedDuration {
    if splay.is_zero() {
        return SignedDuration::ZERO;
    }
    let mut hash = Sha256::new();
    hash.update(workload_uid.as_bytes());
    hash.update([0]);
    hash.update(node_uid.as_bytes());
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let millis = u64::from_be_bytes(first) % splay.as_millis();
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(0))
}

/// The time of day by which a periodic timer counts: the wall's when it was anchored, carried on by the monotonic
/// clock. A step of the wall moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    wall: Timestamp,
    boottime: Duration,
}

impl Anchor {
    /// Anchors at an agent's start. If the clock was set back since the last tick, counting goes on from that tick:
    /// none is repeated, and none has to wait until the clock is there again.
    pub fn new(now: Now, cursor: Timestamp) -> Self {
        let wall = if credible(cursor, now.wall) { now.wall.max(cursor) } else { now.wall };
        Self { wall, boottime: now.boottime }
    }

    /// The time that it is by this anchor.
    pub fn time(&self, now: Now) -> Timestamp {
        let passed = now.boottime.saturating_sub(self.boottime);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// The boot time at which it will be `at`.
    pub fn boottime_of(&self, at: Timestamp) -> Duration {
        let ahead = at.duration_since(self.wall);
        self.boottime.saturating_add(Duration::try_from(ahead).unwrap_or(Duration::ZERO))
    }
}

fn credible(cursor: Timestamp, now: Timestamp) -> bool {
    cursor.duration_since(now) <= CREDIBLE
}

/// What a timer remembers of the ticks that were dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// Everything up to here was.
    pub cursor: Timestamp,
    /// Where the cursor was before a clock far behind it put it aside.
    pub aside: Option<Timestamp>,
}

impl Dealt {
    /// Puts the cursor aside while the clock is further behind it than can be: one of the two is wrong, and the timer is
    /// not to stand still for it. If the clock leaps on to where the cursor was, the clock was the wrong one and the cursor
    /// counts again, or ticks would be run twice; if time only comes to pass, it was the cursor. `before` is the last look,
    /// absent since a start.
    pub fn across(self, before: Option<Now>, now: Now) -> Self {
        if !credible(self.cursor, now.wall) {
            let aside = self.aside.map_or(self.cursor, |aside| aside.max(self.cursor));
            return Self { cursor: now.wall, aside: Some(aside) };
        }
        match self.aside.filter(|aside| credible(*aside, now.wall)) {
            Some(aside) if before.is_none_or(|before| leapt(before, now)) => {
                Self { cursor: self.cursor.max(aside), aside: None }
            }
            Some(aside) if aside <= now.wall => Self { aside: None, ..self },
            _ => self,
        }
    }
}

/// Whether the wall's clock was set forward since `before`.
fn leapt(before: Now, now: Now) -> bool {
    let passed = now.boottime.saturating_sub(before.boottime);
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
    now.wall.duration_since(before.wall) > passed.saturating_add(PUNCTUAL)
}

/// Whether the wall's clock was set since `before`, either way. Half of what counts as a leap: two looks between which it
/// was not, have no leap between them however often the clock was set by less.
pub fn was_set(before: Now, now: Now) -> bool {
    let passed = now.boottime.saturating_sub(before.boottime);
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
    now.wall.duration_since(before.wall).saturating_sub(passed).abs() > PUNCTUAL / 2
}

/// A tick that is to be run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Its instant, which is its identity.
    pub time: Timestamp,
    /// Whether it was missed, and is caught up.
    pub late: bool,
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The ticks to run, oldest first.
    pub run: Vec<Tick>,
    /// Ticks that are not run, now or ever.
    pub skipped: u64,
    /// Whether there are more of those than `skipped` says.
    pub uncounted: bool,
    /// The cursor from here on: everything up to it has been dealt with. Absent: it stays where it is.
    pub cursor: Option<Timestamp>,
    /// The next tick.
    pub next: Option<Timestamp>,
}

/// The rules for missed ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LateRules {
    /// What becomes of missed ticks.
    pub catch_up: CatchUp,
    /// How late a tick may start at most.
    pub starting_deadline: Option<Duration>,
}

impl LateRules {
    /// The rules of a timer.
    pub fn of(spec: &TimerSpec) -> Self {
        Self {
            catch_up: spec.catch_up.unwrap_or_default(),
            starting_deadline: spec.starting_deadline.map(drover_types::Duration::to_std),
        }
    }

    /// The rules at `now` for a timer that goes by the wall clock and was looked at before. Ticks that the clock leapt
    /// over while the agent was up were not missed one by one: of them only the latest is caught up.
    pub fn across(self, before: Option<Now>, now: Now) -> Self {
        let leapt = before.is_some_and(|before| {
            let passed = now.boottime.saturating_sub(before.boottime);
            let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
            now.wall.duration_since(before.wall).saturating_sub(passed) > STEP
        });
        match self.catch_up {
            CatchUp::All if leapt => Self { catch_up: CatchUp::Once, ..self },
            CatchUp::All | CatchUp::Once | CatchUp::Skip => self,
        }
    }

    /// Whether a tick may still start.
    pub fn allow(&self, tick: Timestamp, now: Timestamp) -> bool {
        match self.starting_deadline.and_then(|deadline| SignedDuration::try_from(deadline).ok()) {
            Some(deadline) => now.duration_since(tick) <= deadline,
            None => true,
        }
    }
}

/// Which ticks in `(cursor, now]` are run. The newest is on time if it is no later than [`PUNCTUAL`]; all others were
/// missed, and the rules say what becomes of them. `now` is the anchor's time for a periodic timer, else the wall's.
pub fn due(schedule: &Schedule, rules: &LateRules, cursor: Timestamp, now: Timestamp) -> Due {
    if !credible(cursor, now) {
        // It has to be put right, or it would count for nothing again at the next tick, which would never come.
        return Due { cursor: Some(now), next: schedule.next_after(now), ..Due::default() };
    }
    let mut due = Due { next: schedule.next_after(now.max(cursor)), ..Due::default() };
    let edge = SignedDuration::from_nanos(i64::from(active(Mutant::MissedEdge)));
    let Some(newest) = schedule.last_in(cursor, now - edge) else { return due };
    due.cursor = Some(newest);
    let on_time = now.duration_since(newest) <= PUNCTUAL && rules.allow(newest, now);
    let (total, uncounted) = schedule.count_in(cursor, newest);
    match rules.catch_up {
        CatchUp::All => {
            // Before the deadline's edge nothing may start any more.
            let edge = rules
                .starting_deadline
                .and_then(|deadline| SignedDuration::try_from(deadline).ok())
                .and_then(|deadline| now.checked_sub(deadline).ok())
                .and_then(|edge| edge.checked_sub(SignedDuration::from_nanos(1)).ok());
            let mut at = edge.map_or(cursor, |edge| edge.max(cursor));
            let room = MAX_CAUGHT_UP + usize::from(on_time);
            while due.run.len() < MAX_CAUGHT_UP
                && let Some(tick) = schedule.next_after(at).filter(|tick| *tick <= newest)
            {
                due.run.push(Tick { time: tick, late: !(on_time && tick == newest) });
                at = tick;
            }
            if on_time && at != newest && due.run.len() < room {
                due.run.push(Tick { time: newest, late: false });
            }
        }
        CatchUp::Once if on_time || rules.allow(newest, now) => {
            due.run.push(Tick { time: newest, late: !on_time });
        }
        CatchUp::Skip if on_time => due.run.push(Tick { time: newest, late: false }),
        CatchUp::Once | CatchUp::Skip => {}
    }
    due.skipped = total.saturating_sub(due.run.len() as u64);
    due.uncounted = uncounted;
    due
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;

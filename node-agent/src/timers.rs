//! Ticks: which are due, and what becomes of each.

use drover_mutants::{Mutant, active};
use drover_plan::node::Now;
use drover_plan::node::run::StopCause;
use drover_plan::node::schedule::{Anchor, Dealt, LateRules, Schedule, Tick, due};
use drover_plan::node::timer::{Verdict, decide};
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::run::{Trigger, TriggerType};
use drover_types::kinds::timer::{CatchUp, ConcurrencyPolicy, TimerSpec};

use crate::agent::{Agent, Armed, Next};
use crate::ledger::{CauseKey, Change, Claim, Memory, Stage};
use crate::mark::mark;

impl Agent {
    pub(crate) fn plan_timer(&mut self, assignment: &Assignment, timer: &TimerSpec, now: Now) -> Next {
        let uid = &assignment.metadata.uid;
        let mut memory = self.memory(uid);
        let by = mark(timer);
        let looked =
            self.timers.get(uid.as_str()).filter(|armed| armed.by == by).and_then(|armed| armed.looked);
        let held = Dealt { cursor: memory.cursor, aside: memory.aside };
        // What an armed period counts by is not moved by the clock.
        let fixed = timer.every.is_some() && looked.is_some();
        let dealt = if fixed { held } else { held.across(looked, now) };
        if dealt != held {
            (memory.cursor, memory.aside) = (dealt.cursor, dealt.aside);
            self.stage_quietly(Change::Remember(uid.clone(), Box::new(memory.clone())));
        }
        let Some((armed, schedule)) = self.arm(assignment, (timer, by), &memory, now) else {
            return Next::default();
        };
        let periodic = schedule.is_periodic();
        let time = if periodic { armed.anchor.time(now) } else { now.wall };
        let suspended = timer.suspend == Some(true);
        if suspended != memory.suspended {
            // What would have ticked meanwhile was not missed.
            memory.suspended = suspended;
            memory.cursor = time.max(memory.cursor);
            armed.next = None;
            self.stage(Change::Remember(uid.clone(), Box::new(memory.clone())));
        }
        if suspended {
            return Next::default();
        }
        if schedule.is_on_boot() {
            self.plan_boot(assignment, timer, memory, now);
            return Next::default();
        }
        let Some(armed) = self.timers.get_mut(uid.as_str()) else { return Next::default() };
        let anchor = armed.anchor;
        let before = armed.looked.replace(now).filter(|_| !periodic);
        let rules = LateRules::of(timer).across(before, now);
        let found = due(&schedule, &rules, memory.cursor, time);
        armed.next = found.next;
        armed.schedule = Some(schedule);
        if let Some(cursor) = found.cursor {
            memory.cursor = cursor;
            memory.skipped += found.skipped;
            memory.last_tick = found.run.last().map(|tick| tick.time).or(memory.last_tick);
            self.stage(Change::Remember(uid.clone(), Box::new(memory)));
            if found.skipped > 0 {
                let lower = if found.uncounted { "at least " } else { "" };
                let message =
                    format!("{lower}{} ticks up to {cursor} were missed and are not run", found.skipped);
                self.event_of(assignment, "TicksMissed", &message);
            }
            for Tick { time, late } in found.run {
                let type_ = if late { TriggerType::CatchUp } else { TriggerType::Schedule };
                let trigger = Trigger { type_, time: Some(time) };
                let cause = CauseKey::Tick(time);
                let claim = self.claim(assignment, &timer.template, cause, trigger, None, 1, now);
                self.tick(timer, claim);
            }
        }
        if periodic {
            Next { boot: found.next.map(|next| anchor.boottime_of(next)), wall: None }
        } else {
            Next { boot: None, wall: found.next }
        }
    }

    /// Makes sure that the timer is armed as its spec says, and takes its schedule out; none when it cannot be.
    fn arm(
        &mut self,
        assignment: &Assignment,
        (timer, by): (&TimerSpec, u64),
        memory: &Memory,
        now: Now,
    ) -> Option<(&mut Armed, Box<Schedule>)> {
        let uid = &assignment.metadata.uid;
        let held = self.timers.get_mut(uid.as_str()).filter(|armed| armed.by == by);
        let schedule = match held.and_then(|armed| armed.schedule.take()) {
            Some(schedule) => schedule,
            None => match Schedule::of(timer, &assignment.spec.workload_ref.uid, &self.config.node_uid) {
                Ok(schedule) => Box::new(schedule),
                Err(error) => {
                    self.timers.remove(uid.as_str());
                    self.problems.insert(uid.clone(), ("InvalidSchedule".into(), error.to_string()));
                    return None;
                }
            },
        };
        if self.timers.get(uid.as_str()).is_none_or(|armed| armed.by != by) {
            let anchor = Anchor::new(now, memory.cursor);
            let armed = Armed { by, schedule: None, anchor, looked: None, next: None };
            self.timers.insert(self.desired.key(uid), Box::new(armed));
        }
        Some((self.timers.get_mut(uid.as_str())?, schedule))
    }

    fn plan_boot(&mut self, assignment: &Assignment, timer: &TimerSpec, mut memory: Memory, now: Now) {
        if memory.boot_id == self.config.boot_id {
            return;
        }
        memory.boot_id.clone_from(&self.config.boot_id);
        memory.last_tick = Some(now.wall);
        self.stage(Change::Remember(assignment.metadata.uid.clone(), Box::new(memory)));
        let cause = CauseKey::Request(format!("boot/{}", self.config.boot_id));
        let trigger = Trigger { type_: TriggerType::Schedule, time: Some(now.wall) };
        let claim = self.claim(assignment, &timer.template, cause, trigger, None, 1, now);
        self.tick(timer, claim);
    }

    /// What becomes of a tick, while earlier executions may live. The reason, if it is Skipped.
    fn tick(&mut self, timer: &TimerSpec, claim: Claim) {
        if self.is_config_missing(&claim.assignment_uid) {
            let (_, message) = self.problems[&claim.assignment_uid].clone();
            return self.skip(&claim, "ConfigMissing", &message);
        }
        let mut policy = timer.concurrency_policy.unwrap_or_default();
        // All that were missed are wanted, one after the other: they do not forbid each other.
        let caught_up = claim.trigger.type_ == TriggerType::CatchUp && timer.catch_up == Some(CatchUp::All);
        if caught_up && policy == ConcurrencyPolicy::Forbid {
            policy = ConcurrencyPolicy::Queue;
        }
        if let Err((reason, message, claim)) = self.admit_tick(policy, claim) {
            self.skip(&claim, reason, message);
        }
    }

    /// Claims an execution of a timer as its policy says, or tells why not.
    pub(crate) fn admit_tick(
        &mut self,
        policy: ConcurrencyPolicy,
        mut claim: Claim,
    ) -> Result<(), (&'static str, &'static str, Box<Claim>)> {
        let uid = claim.assignment_uid.clone();
        let (queued, live): (Vec<Claim>, Vec<Claim>) =
            self.claims_of(&uid).into_iter().partition(|held| held.stage == Stage::Queued);
        let counts = |held: &&Claim| held.attempt == 1 || !active(Mutant::ForbidSeesFirstAttempts);
        match decide(policy, live.iter().filter(counts).count(), queued.len()) {
            Verdict::Start => {}
            Verdict::Queue => claim.stage = Stage::Queued,
            Verdict::Replace => {
                for held in queued {
                    self.skip(&held, "Replaced", "a later tick took its place before it started");
                }
                self.stop_all(&uid, StopCause::Replaced);
                claim.stage = Stage::Queued;
            }
            Verdict::Skip(reason) => {
                let message = "an earlier execution of the timer still lives on this node";
                return Err((reason, message, Box::new(claim)));
            }
        }
        self.stage(Change::Claim(Box::new(claim)));
        Ok(())
    }
}

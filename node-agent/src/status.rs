//! Where each Assignment stands, reported when it changes, and the runs that wait.
//!
//! What only counts on (times, runs alive) is reported at most once a second for each Assignment; what anybody decides
//! by is reported at once.

use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::lease::Lease;
use drover_types::kinds::assignment::{Assignment, AssignmentStatus};
use drover_types::kinds::run::{RunPhase, RunStatus};
use drover_types::{Condition, ConditionStatus};
use drover_wire::{ReportItem, StatusReport};

use crate::agent::{Agent, RETRY};
use crate::ledger::{Change, Claim, Memory, Stage};
use crate::mark::mark;
use crate::report;

/// Between two reports of what only counts on.
const PERIOD: Duration = Duration::from_secs(1);
/// Conditions beside Ready; each is there once it was true.
const PROBLEMS: [&str; 2] = ["ConfigMissing", "InvalidSchedule"];

/// What was last reported of an Assignment.
pub(crate) struct Said {
    /// The mark of the status.
    all: u64,
    /// The mark of what of it others decide by.
    deciding: u64,
    /// The boot time of the report.
    at: Duration,
}

/// Whether an Assignment is as it should be, and why or why not.
type Verdict = (bool, &'static str, String);

impl Agent {
    /// Stages the reports of everything that changed; the boot time at which more is due.
    pub(crate) fn tell(&mut self, now: Now) -> Duration {
        self.tell_waiting();
        self.tell_overflow();
        let mut wake = Duration::MAX;
        for uid in std::mem::take(&mut self.changed) {
            if self.unplanned.contains(&uid) {
                // What it is to do now is not decided yet.
                self.changed.insert(uid);
                continue;
            }
            let assignment = match self.desired.wake(&uid) {
                Ok(Some(assignment)) => assignment,
                Ok(None) => continue,
                Err(error) => {
                    self.unread(&uid, &error);
                    self.changed.insert(uid);
                    wake = wake.min(now.boottime + RETRY);
                    continue;
                }
            };
            let memory = self.memory(&uid);
            let status = self.status(&assignment, &memory, now);
            let Some(said) = self.said.get(uid.as_str()) else {
                self.say(&assignment, memory, status, now);
                continue;
            };
            if said.all == mark(&status) {
                continue;
            }
            let due = said.at + PERIOD;
            if said.deciding == deciding(&status) && now.boottime < due {
                wake = wake.min(due);
                self.changed.insert(uid);
                continue;
            }
            self.say(&assignment, memory, status, now);
        }
        wake
    }

    fn say(&mut self, assignment: &Assignment, mut memory: Memory, status: AssignmentStatus, now: Now) {
        let uid = assignment.metadata.uid.clone();
        let report = StatusReport {
            namespace: assignment.metadata.namespace.clone().unwrap_or_default(),
            name: assignment.metadata.name.clone(),
            uid: uid.clone(),
            status: serde_json::to_value(&status).unwrap_or_default(),
        };
        let item = Box::new(ReportItem::AssignmentStatus(report));
        self.stage_quietly(Change::Report(format!("status/{uid}"), item));
        if memory.conditions != status.conditions {
            memory.conditions.clone_from(&status.conditions);
            self.stage_quietly(Change::Remember(uid.clone(), Box::new(memory)));
            self.changed.remove(&uid);
        }
        let said = Said { all: mark(&status), deciding: deciding(&status), at: now.boottime };
        self.said.insert(self.desired.key(&uid), said);
    }

    /// Runs that wait for an earlier one, a lane or a mutex are shown as Pending, with why.
    fn tell_waiting(&mut self) {
        let claims = self.journal.ledger().claims.values();
        let waiting: Vec<Claim> = claims
            .filter(|claim| claim.stage != Stage::Admitted && !self.told.contains(&claim.run_uid))
            .cloned()
            .collect();
        for claim in waiting {
            let reason = match claim.stage {
                Stage::Queued => "Queued",
                Stage::Retry { .. } => "BackOff",
                Stage::Waiting | Stage::Admitted => "WaitingForTurn",
            };
            let status =
                RunStatus { phase: RunPhase::Pending, reason: reason.into(), ..RunStatus::default() };
            self.stage_quietly(report::run(&claim, &self.config.node_name, status));
            self.told.insert(claim.run_uid);
        }
    }

    fn status(&self, assignment: &Assignment, memory: &Memory, now: Now) -> AssignmentStatus {
        let uid = &assignment.metadata.uid;
        let live = |claim: &&Claim| self.live.contains_key(&claim.run_uid);
        let claims: Vec<&Claim> = self.journal.ledger().claims_of(uid).collect();
        let active = claims.iter().copied().filter(live).count();
        let ready = claims.iter().copied().filter(|claim| claim.stop.is_none()).filter(live).count();
        let is_service = assignment.spec.service.is_some();
        let starts: u64 = memory.starts.values().map(|starts| u64::from(starts.saturating_sub(1))).sum();
        let mut status = AssignmentStatus {
            observed_generation: assignment.metadata.generation.unwrap_or(0),
            active: u32::try_from(active).unwrap_or(u32::MAX),
            ready: if is_service { u32::try_from(ready).unwrap_or(u32::MAX) } else { 0 },
            restarts: starts,
            last_schedule_time: memory.last_tick,
            last_successful_time: memory.last_success,
            next_schedule_time: self.timers.get(uid.as_str()).and_then(|armed| armed.next),
            last_phase: memory.last_phase,
            outcome: memory.task_outcome.map(|(phase, _)| phase),
            start_time: memory.task_started,
            completion_time: memory.task_outcome.map(|(_, at)| at),
            skipped: memory.skipped,
            conditions: memory.conditions.clone(),
        };
        let verdict = self.verdict(assignment, (&status, memory), &claims, now);
        self.set_conditions(assignment, &mut status, verdict, now);
        status
    }

    fn set_conditions(
        &self,
        assignment: &Assignment,
        status: &mut AssignmentStatus,
        (holds, reason, message): Verdict,
        now: Now,
    ) {
        let condition = |type_: &str, holds, reason: &str, message: String| Condition {
            type_: type_.into(),
            status: if holds { ConditionStatus::True } else { ConditionStatus::False },
            observed_generation: Some(status.observed_generation),
            last_transition_time: now.wall,
            reason: reason.into(),
            message,
        };
        let problem = self.problems.get(&assignment.metadata.uid);
        let mut next = vec![condition("Ready", holds, reason, message)];
        for type_ in PROBLEMS {
            match problem.filter(|(reason, _)| reason == type_) {
                Some((reason, message)) => next.push(condition(type_, true, reason, message.clone())),
                None if status.conditions.iter().any(|held| held.type_ == type_) => {
                    next.push(condition(type_, false, "Resolved", String::new()));
                }
                None => {}
            }
        }
        for condition in next {
            Condition::set(&mut status.conditions, condition);
        }
    }

    fn verdict(
        &self,
        assignment: &Assignment,
        (status, memory): (&AssignmentStatus, &Memory),
        claims: &[&Claim],
        now: Now,
    ) -> Verdict {
        let no = |reason, message: &str| (false, reason, message.to_owned());
        let uid = &assignment.metadata.uid;
        if assignment.metadata.deletion_timestamp.is_some() {
            return no("Ending", "its processes are being ended");
        }
        if assignment.spec.evicted == Some(true) {
            return no("Evicted", "the node was drained");
        }
        if self.fenced_until(assignment, now).is_some() {
            return no(
                "LeaseLost",
                "the server was restored; another node may have it until its lease is over",
            );
        }
        if self.lease(assignment, now) == Lease::Lapsed {
            return no("LeaseLost", "the server has not heard of this node for as long as the lease");
        }
        if let Some((reason, message)) = self.problems.get(uid) {
            let reason = PROBLEMS.into_iter().find(|known| known == reason).unwrap_or("Problem");
            return no(reason, message);
        }
        if let Some(timer) = &assignment.spec.timer {
            let suspended = timer.suspend == Some(true);
            return (true, if suspended { "Suspended" } else { "Armed" }, String::new());
        }
        if assignment.spec.task.is_some() {
            return match status.outcome {
                Some(RunPhase::Succeeded) => (true, "Succeeded", String::new()),
                Some(phase) => {
                    let end = &memory.last_end;
                    (false, "Failed", format!("its last attempt is {phase:?}: {end}"))
                }
                None if status.active > 0 => no("Running", ""),
                None => no("Waiting", "it waits for its turn, or for its next attempt"),
            };
        }
        let Some(service) = &assignment.spec.service else { return no("Unknown", "it has no workload") };
        let wanted = service.replicas.unwrap_or(1);
        let mut message = format!("{} of {wanted} replicas run", status.ready);
        let outdated = claims.iter().any(|claim| claim.template != service.template);
        if status.ready >= wanted {
            return if outdated { (false, "Updating", message) } else { (true, "AllUp", message) };
        }
        if !memory.last_end.is_empty() {
            message += &format!("; the last one to end: {}", memory.last_end);
        }
        let held = |replica| {
            self.replicas.get(&(uid.clone(), replica)).is_some_and(|slot| slot.start_at > now.boottime)
        };
        let reason = if (0..wanted).any(held) { "BackOff" } else { "SomeDown" };
        (false, reason, message)
    }
}

/// The mark of what of a status others decide by.
fn deciding(status: &AssignmentStatus) -> u64 {
    let conditions: Vec<(&str, ConditionStatus, &str)> =
        status.conditions.iter().map(|c| (c.type_.as_str(), c.status, c.reason.as_str())).collect();
    let failing = status.last_phase.is_some_and(|phase| phase != RunPhase::Succeeded);
    mark(&(status.observed_generation, status.ready, status.outcome, failing, conditions))
}

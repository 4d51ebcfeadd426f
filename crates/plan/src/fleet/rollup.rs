//! A workload over the fleet: counted, not listed, in the conditions that kstatus reads.

use drover_types::kinds::run::RunPhase;
use drover_types::kinds::service::ServiceStatus;
use drover_types::kinds::task::TaskStatus;
use drover_types::kinds::timer::TimerStatus;
use drover_types::kinds::{Assignment, Service, Task, Timer};
use drover_types::{Condition, ConditionStatus};
use jiff::Timestamp;

use super::assignment::is_once;
use super::placement::Plan;

/// What every status is made from: the plan that was just made and the Assignments as they were before it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The workload's Assignments.
    pub assignments: &'a [&'a Assignment],
    /// How many of them are on nodes that nothing is heard of.
    pub unreachable: u32,
    /// What time it is.
    pub now: Timestamp,
}

/// The counts that make up the conditions.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    live: u32,
    /// Nodes that act on what is wanted now.
    current: u32,
    settled: bool,
}

impl<'a> Seen<'a> {
    fn live(&self) -> impl Iterator<Item = &'a Assignment> + use<'a> {
        self.assignments.iter().copied().filter(|a| a.metadata.deletion_timestamp.is_none())
    }

    fn tally(&self, generation: i64) -> Tally {
        let mut tally = Tally::default();
        for a in self.live() {
            tally.live += 1;
            tally.current += u32::from(is_current(a, generation));
        }
        tally.settled = self.plan.actions.is_empty() && tally.current == tally.live;
        tally
    }
}

/// What a count leaves unsaid: that it counts nothing, or what nobody can look at now.
fn noted(mut message: String, seen: Seen<'_>) -> String {
    if seen.plan.desired == 0 {
        return "No node matches.".to_owned();
    }
    if seen.unreachable > 0 {
        let nodes = if seen.unreachable == 1 { "node is" } else { "nodes are" };
        message
            .push_str(&format!(" {} {nodes} unreachable, and counted as last reported.", seen.unreachable));
    }
    message
}

fn is_current(a: &Assignment, generation: i64) -> bool {
    a.spec.workload_ref.generation == generation
        && a.status.as_ref().is_some_and(|s| s.observed_generation >= a.metadata.generation.unwrap_or(0))
}

fn says_not_ready(a: &Assignment) -> bool {
    let conditions = a.status.iter().flat_map(|s| &s.conditions);
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == ConditionStatus::False)
}

/// Sets conditions of one generation at one time.
struct Speaker<'a> {
    conditions: &'a mut Vec<Condition>,
    generation: i64,
    now: Timestamp,
}

impl Speaker<'_> {
    fn say(&mut self, type_: &str, holds: bool, reason: &str, message: String) {
        let next = Condition {
            type_: type_.into(),
            status: if holds { ConditionStatus::True } else { ConditionStatus::False },
            observed_generation: Some(self.generation),
            last_transition_time: self.now,
            reason: reason.into(),
            message,
        };
        Condition::set(self.conditions, next);
    }

    /// Reconciling and Stalled: what kstatus reads beside Ready.
    fn progress(&mut self, plan: &Plan, tally: Tally) {
        let reason = if tally.settled { "Settled" } else { "NodesCatchingUp" };
        let placed = plan.desired.saturating_sub(plan.missing);
        let message = format!("{} of {placed} nodes act on this generation.", tally.current);
        self.say("Reconciling", !tally.settled, reason, message);
        let stalled = plan.missing > 0;
        let message =
            if stalled { format!("{} more nodes are wanted than fit.", plan.missing) } else { String::new() };
        let reason = match (stalled, plan.desired) {
            (true, _) => "TooFewNodes",
            (false, 0) => "NoNodeMatches",
            (false, _) => "Placed",
        };
        self.say("Stalled", stalled, reason, message);
    }
}

/// A Timer's status.
pub fn timer(timer: &Timer, seen: Seen<'_>) -> TimerStatus {
    let generation = timer.metadata.generation.unwrap_or(0);
    let tally = seen.tally(generation);
    let mut status = TimerStatus {
        observed_generation: generation,
        desired: seen.plan.desired,
        conditions: timer.status.as_ref().map(|s| s.conditions.clone()).unwrap_or_default(),
        // Times outlive the Assignments that told them.
        last_schedule_time: timer.status.as_ref().and_then(|s| s.last_schedule_time),
        last_successful_time: timer.status.as_ref().and_then(|s| s.last_successful_time),
        ..TimerStatus::default()
    };
    for a in seen.live() {
        status.ready += u32::from(is_current(a, generation) && !says_not_ready(a));
        let Some(s) = &a.status else { continue };
        status.active += s.active;
        status.failing += u32::from(
            s.last_phase
                .is_some_and(|p| p.is_finished() && !matches!(p, RunPhase::Succeeded | RunPhase::Skipped)),
        );
        status.last_schedule_time = status.last_schedule_time.max(s.last_schedule_time);
        status.last_successful_time = status.last_successful_time.max(s.last_successful_time);
        status.next_schedule_time =
            [status.next_schedule_time, s.next_schedule_time].into_iter().flatten().min();
    }
    let mut speaker = Speaker { conditions: &mut status.conditions, generation, now: seen.now };
    let ready = status.ready >= status.desired && seen.plan.actions.is_empty();
    let suspended = timer.spec.suspend == Some(true);
    let word = if suspended { "Suspended" } else { "Armed" };
    let message = noted(format!("{word} on {} of {} nodes.", status.ready, status.desired), seen);
    let reason = match (ready, suspended, status.desired) {
        (true, _, 0) => "NoNodeMatches",
        (true, _, _) => word,
        (false, true, _) => "NotSuspendedEverywhere",
        (false, false, _) => "NotArmedEverywhere",
    };
    speaker.say("Ready", ready, reason, message);
    speaker.progress(seen.plan, tally);
    status
}

/// A Service's status.
pub fn service(service: &Service, seen: Seen<'_>) -> ServiceStatus {
    let generation = service.metadata.generation.unwrap_or(0);
    let tally = seen.tally(generation);
    let replicas = service.spec.replicas.unwrap_or(1);
    let mut status = ServiceStatus {
        observed_generation: generation,
        desired: seen.plan.desired.saturating_mul(replicas),
        conditions: service.status.as_ref().map(|s| s.conditions.clone()).unwrap_or_default(),
        ..ServiceStatus::default()
    };
    let mut up = 0_u32;
    for a in seen.live() {
        let Some(s) = &a.status else { continue };
        // What is too many on one node makes up for nothing on another.
        let here = s.ready.min(replicas);
        up = up.saturating_add(here);
        status.ready = status.ready.saturating_add(s.ready);
        status.restarts = status.restarts.saturating_add(s.restarts);
        if is_current(a, generation) {
            status.failing = status.failing.saturating_add(replicas - here);
        }
    }
    let available = up >= status.desired;
    let ready = available && tally.settled;
    let message = noted(format!("{up} of {} processes run.", status.desired), seen);
    let reason = match (available, status.desired) {
        (true, 0) => "NoNodeMatches",
        (true, _) => "AllUp",
        (false, _) => "SomeDown",
    };
    let mut speaker = Speaker { conditions: &mut status.conditions, generation, now: seen.now };
    speaker.say("Available", available, reason, message.clone());
    speaker.say("Progressing", !ready, if ready { "Done" } else { "BringingUp" }, String::new());
    speaker.say("Ready", ready, reason, message);
    speaker.progress(seen.plan, tally);
    status
}

/// A Task's status. Once it is Complete or Failed it stays so, also after its Assignments are removed.
pub fn task(task: &Task, seen: Seen<'_>) -> TaskStatus {
    let generation = task.metadata.generation.unwrap_or(0);
    let mut status = task.status.clone().unwrap_or_default();
    status.observed_generation = generation;
    let over = status
        .conditions
        .iter()
        .any(|c| c.status == ConditionStatus::True && matches!(c.type_.as_str(), "Complete" | "Failed"));
    if over {
        return status;
    }
    if !is_once(task) {
        let mut speaker = Speaker { conditions: &mut status.conditions, generation, now: seen.now };
        speaker.say("Ready", true, "Callable", "It runs when it is called.".into());
        return status;
    }
    (status.desired, status.active, status.succeeded, status.failed) = (seen.plan.desired, 0, 0, 0);
    let mut last: Option<Timestamp> = None;
    for s in seen.live().filter_map(|a| a.status.as_ref()) {
        status.start_time = [status.start_time, s.start_time].into_iter().flatten().min();
        match s.outcome {
            None => status.active += u32::from(s.active > 0),
            Some(RunPhase::Succeeded) => status.succeeded += 1,
            Some(_) => status.failed += 1,
        }
        last = last.max(s.completion_time);
    }
    let finished = status.succeeded.saturating_add(status.failed);
    // Nothing is over while a node has still to be told: a crash between two creates must not end a Task early.
    let over = seen.plan.actions.is_empty() && status.desired > 0 && finished >= status.desired;
    let (complete, failed) = (over && status.failed == 0, over && status.failed > 0);
    if over {
        status.completion_time = Some(last.unwrap_or(seen.now));
    }
    let counts =
        format!("{} succeeded and {} failed of {} nodes.", status.succeeded, status.failed, status.desired);
    let message = if over { counts } else { noted(counts, seen) };
    let reason = match (complete, failed) {
        (true, _) => "Succeeded",
        (_, true) => "NodesFailed",
        _ if status.desired == 0 => "NoNodeMatches",
        _ => "Running",
    };
    let mut speaker = Speaker { conditions: &mut status.conditions, generation, now: seen.now };
    speaker.say("Complete", complete, reason, message.clone());
    speaker.say("Failed", failed, reason, message.clone());
    speaker.say("Ready", complete, reason, message.clone());
    // Each is said once: to unsay a condition and say it again would move its transition time at every look.
    speaker.say("Reconciling", !over, reason, message.clone());
    let stuck = failed || (!over && seen.plan.missing > 0);
    speaker.say("Stalled", stuck, if stuck && !failed { "TooFewNodes" } else { reason }, message);
    status
}

#[cfg(test)]
#[path = "rollup_tests.rs"]
mod tests;

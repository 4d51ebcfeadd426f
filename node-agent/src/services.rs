//! Replicas: those that are missing start, those that are too many end, those of an older template are replaced.

use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::replicas::{Held, Progress, replace, vacant};
use drover_plan::node::service::{After, RestartRules};
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::run::{RunPhase, Trigger, TriggerType};
use drover_types::kinds::service::ServiceSpec;

use crate::agent::{Agent, Slot};
use crate::ledger::{CauseKey, Change, Claim, Memory, Stage};

impl Agent {
    pub(crate) fn plan_service(&mut self, assignment: &Assignment, now: Now) -> Option<Duration> {
        let service = assignment.spec.service.as_ref()?;
        let uid = &assignment.metadata.uid;
        let wanted = service.replicas.unwrap_or(1);
        let generation = assignment.spec.workload_ref.generation;
        let mut memory = self.memory(uid);
        let before = memory.down.len();
        memory.down.retain(|replica, of| *replica < wanted && *of == generation);
        if memory.down.len() != before {
            self.stage(Change::Remember(uid.clone(), Box::new(memory.clone())));
        }
        let claims = self.claims_of(uid);
        let held = self.held(service, &claims);
        let replacement = replace(wanted, down(&memory), &held, now);
        for (at, cause) in replacement.end {
            self.stop(&claims[at], cause);
        }
        let mut wake = replacement.look_again;
        if self.is_config_missing(uid) {
            // It waits for what is missing: the next desired state brings it.
            return None;
        }
        for replica in vacant(wanted, &held) {
            if memory.down.contains_key(&replica) {
                continue;
            }
            let slot = self.replicas.entry((uid.clone(), replica)).or_default();
            if slot.generation != generation {
                // Another template may do better.
                *slot = Slot { generation, ..Slot::default() };
            }
            if slot.start_at > now.boottime {
                wake = Some(wake.map_or(slot.start_at, |at| at.min(slot.start_at)));
                continue;
            }
            let starts = memory.starts.entry(replica).or_default();
            *starts += 1;
            let attempt = *starts;
            self.stage(Change::Remember(uid.clone(), Box::new(memory.clone())));
            let trigger = Trigger { type_: TriggerType::Service, time: Some(now.wall) };
            let cause = CauseKey::Request("service".into());
            let claim =
                self.claim(assignment, &service.template, cause, trigger, Some(replica), attempt, now);
            self.stage(Change::Claim(Box::new(claim)));
        }
        wake
    }

    /// The executions of a Service, as the plan of its replicas asks about them.
    fn held(&self, service: &ServiceSpec, claims: &[Claim]) -> Vec<Held> {
        let progress = |claim: &Claim| match self.live.get(&claim.run_uid) {
            Some((live, _)) => Progress::Up(live.started),
            None if claim.stage == Stage::Admitted => Progress::Starting,
            None => Progress::Waiting,
        };
        let held = |claim: &Claim| Held {
            // What is no replica is one too many.
            replica: claim.replica.unwrap_or(u32::MAX),
            current: claim.template == service.template,
            ending: claim.stop.is_some(),
            progress: progress(claim),
        };
        claims.iter().map(held).collect()
    }

    /// What follows the end of a replica's run.
    pub(crate) fn replica_ended(&mut self, claim: &Claim, memory: &mut Memory, end: ReplicaEnd, now: Now) {
        // A Service's is in memory for as long as it is desired.
        let (Ok(Some(assignment)), Some(replica)) = (self.desired.get(&claim.assignment_uid), claim.replica)
        else {
            return;
        };
        let Some(service) = &assignment.spec.service else { return };
        let generation = assignment.spec.workload_ref.generation;
        let slot = self.replicas.entry((claim.assignment_uid.clone(), replica)).or_default();
        slot.generation = generation;
        // One that was ended on purpose did not fail.
        if claim.stop.is_some() {
            slot.start_at = Duration::ZERO;
            return;
        }
        let rules = RestartRules::of(service.restart.as_ref());
        match slot.history.ended(&rules, end.phase == RunPhase::Succeeded, end.up, now) {
            After::StartAt(at) => {
                slot.start_at = at;
                let wait = at.saturating_sub(now.boottime);
                if !wait.is_zero() {
                    let failures = slot.history.failures;
                    let message = format!(
                        "replica {replica} ended {failures} times in a row; it starts again after {} ms",
                        wait.as_millis()
                    );
                    self.event_of(&assignment, "BackOff", &message);
                }
            }
            After::Stay => {
                memory.down.insert(replica, generation);
            }
        }
    }
}

/// How a replica's run ended.
#[derive(Clone, Copy)]
pub(crate) struct ReplicaEnd {
    pub(crate) phase: RunPhase,
    /// How long its process had been up.
    pub(crate) up: Duration,
}

fn down(memory: &Memory) -> u32 {
    u32::try_from(memory.down.len()).unwrap_or(u32::MAX)
}

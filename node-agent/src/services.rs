//! Replicas: those that are missing start, those that are too many end, those of an older template are replaced.

use std::time::Duration;

use drover_mutants::{Mutant, active};
use drover_plan::node::Now;
use drover_plan::node::run::StopCause;
use drover_plan::node::service::{After, RestartRules};
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::run::{RunPhase, Trigger, TriggerType};
use drover_types::kinds::service::ServiceSpec;

use crate::agent::{Agent, Slot};
use crate::ledger::{CauseKey, Change, Claim, Memory, Stage};

/// How long a replica has to be up before the next one is replaced.
const SETTLED: Duration = Duration::from_secs(1);

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
        let mut wake = self.replace(service, &claims, wanted.saturating_sub(down(&memory)), now);
        if self.is_config_missing(uid) {
            // It waits for what is missing: the next desired state brings it.
            return None;
        }
        for replica in 0..wanted {
            let holds = |c: &&Claim| c.stop.is_none() || !active(Mutant::EarlyReplacement);
            if claims.iter().filter(holds).any(|claim| claim.replica == Some(replica))
                || memory.down.contains_key(&replica)
            {
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

    /// Ends what is too much, and of the replicas with an older template one, if all that should be up are; when to
    /// look again.
    fn replace(
        &mut self,
        service: &ServiceSpec,
        claims: &[Claim],
        expected: u32,
        now: Now,
    ) -> Option<Duration> {
        let wanted = service.replicas.unwrap_or(1);
        let (within, over): (Vec<&Claim>, Vec<&Claim>) =
            claims.iter().partition(|claim| claim.replica.is_some_and(|replica| replica < wanted));
        for claim in over {
            self.stop(claim, StopCause::Removed);
        }
        let outdated: Vec<&Claim> =
            within.iter().copied().filter(|c| c.template != service.template && c.stop.is_none()).collect();
        // One that has not started costs nothing.
        for claim in outdated.iter().filter(|claim| claim.stage != Stage::Admitted) {
            self.stop(claim, StopCause::Changed);
        }
        let next = outdated.iter().find(|claim| self.live.contains_key(&claim.run_uid))?;
        let steady: Vec<Duration> = within
            .iter()
            .filter(|claim| claim.stop.is_none())
            .filter_map(|claim| self.live.get(&claim.run_uid))
            .map(|(live, _)| live.started.saturating_add(SETTLED))
            .collect();
        let up = steady.iter().filter(|at| **at <= now.boottime).count();
        if u32::try_from(up).unwrap_or(u32::MAX) >= expected {
            self.stop(next, StopCause::Changed);
            return None;
        }
        steady.into_iter().filter(|at| *at > now.boottime).min()
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

//! "Run it now": a timer's template, for a request that is served once however often it comes.

use drover_plan::node::Now;
use drover_types::kinds::run::Trigger as RunTrigger;
use drover_types::kinds::run::TriggerType;
use drover_wire::{Trigger, TriggerResult};

use crate::agent::Agent;
use crate::ledger::{CauseKey, Change, Claim, MAX_REQUESTS, Stage};

impl Agent {
    pub(crate) fn trigger(&mut self, trigger: &Trigger, now: Now) -> TriggerResult {
        let (run, refused) = match self.run_now(trigger, now) {
            // What is answered is on disk.
            Ok(_) if !self.flush() => {
                (None, Some("the node's disk does not take it; ask again with the same request id".into()))
            }
            Ok(run) => (Some(run), None),
            Err(refused) => (None, Some(refused)),
        };
        TriggerResult { request_id: trigger.request_id.clone(), run, refused }
    }

    /// The name of the run that serves the request.
    fn run_now(&mut self, trigger: &Trigger, now: Now) -> Result<String, String> {
        let uid = &trigger.assignment_uid;
        let held = self.desired.wake(uid);
        let held =
            held.map_err(|error| format!("the Assignment cannot be read from the node's disk: {error}"))?;
        let assignment = held.ok_or("the node does not have this Assignment (yet, or any more)")?;
        let mut memory = self.memory(uid);
        if let Some((_, run)) = memory.requests.iter().find(|(id, _)| *id == trigger.request_id) {
            return Ok(run.clone());
        }
        let timer = assignment.spec.timer.as_ref().ok_or("only a Timer can be triggered")?;
        if assignment.metadata.deletion_timestamp.is_some() || assignment.spec.evicted == Some(true) {
            return Err("the Assignment is being ended on this node".into());
        }
        if !self.lease(&assignment, now).holds() {
            return Err("the Assignment's lease is over: it may be started elsewhere".into());
        }
        if let Some((_, message)) = self.problems.get(uid).filter(|_| self.is_config_missing(uid)) {
            return Err(format!("ConfigMissing: {message}"));
        }
        // Ticks that are due come first: one that has not begun yet serves the request as well.
        self.plan(&assignment, now);
        let run = match self.not_begun(uid) {
            Some(run) => run,
            None => {
                let cause = CauseKey::Request(format!("trigger/{}", trigger.request_id));
                let why = RunTrigger { type_: TriggerType::Manual, time: Some(now.wall) };
                let claim = self.claim(&assignment, &timer.template, cause, why, None, 1, now);
                let name = claim.run_name.clone();
                self.admit_tick(timer.concurrency_policy.unwrap_or_default(), claim)
                    .map_err(|(reason, message, _)| format!("{reason}: {message}"))?;
                name
            }
        };
        memory = self.memory(uid);
        memory.requests.push_back((trigger.request_id.clone(), run.clone()));
        while memory.requests.len() > MAX_REQUESTS {
            memory.requests.pop_front();
        }
        self.stage(Change::Remember(uid.clone(), Box::new(memory)));
        Ok(run)
    }

    fn not_begun(&self, uid: &str) -> Option<String> {
        let begun = |claim: &Claim| {
            matches!(claim.stage, Stage::Admitted | Stage::Retry { .. })
                && !self.to_spawn.contains(&claim.run_uid)
        };
        let claim = self.journal.ledger().claims_of(uid).find(|claim| !begun(claim))?;
        Some(claim.run_name.clone())
    }
}

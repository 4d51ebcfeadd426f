//! What an Assignment wants now: ticks claimed, tasks and replicas started, what is not wanted ended.

use drover_plan::node::Now;
use drover_plan::node::lease::Lease;
use drover_plan::node::run::StopCause;
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::run::{Trigger, TriggerType};
use drover_types::kinds::task::TaskSpec;
use drover_wire::{AssignmentIdentity, ReportItem};

use crate::agent::{Agent, Next};
use crate::claim::template_of;
use crate::launch::{self, LaunchError};
use crate::ledger::{CauseKey, Change, Memory};

impl Agent {
    /// Decides on one Assignment; when to look again.
    pub(crate) fn plan(&mut self, assignment: &Assignment, now: Now) -> Next {
        let uid = &assignment.metadata.uid;
        self.get_to_know(assignment, now);
        let deleted = assignment.metadata.deletion_timestamp.is_some();
        if deleted || assignment.spec.evicted == Some(true) {
            self.timers.remove(uid.as_str());
            self.problems.remove(uid);
            self.stop_all(uid, StopCause::Removed);
            if deleted {
                let identity = AssignmentIdentity {
                    namespace: assignment.metadata.namespace.clone().unwrap_or_default(),
                    name: assignment.metadata.name.clone(),
                    uid: uid.clone(),
                };
                self.tell_ended(identity);
            }
            return Next::default();
        }
        let lease = self.lease(assignment, now);
        let renew_by = match lease {
            Lease::Free => None,
            Lease::Held(at) => Some(at),
            Lease::Lapsed => {
                self.changed.insert(uid.clone());
                self.stop_live(uid, StopCause::LeaseLost);
                return Next { boot: self.fenced_until(assignment, now), wall: None };
            }
        };
        self.check_references(assignment, now);
        let next = if let Some(timer) = &assignment.spec.timer {
            self.plan_timer(assignment, timer, now)
        } else if let Some(task) = &assignment.spec.task {
            self.plan_task(assignment, task, now);
            Next::default()
        } else {
            Next { boot: self.plan_service(assignment, now), wall: None }
        };
        Next { boot: [next.boot, renew_by].into_iter().flatten().min(), ..next }
    }

    /// An Assignment that is no longer desired: what runs of it ends, then it is forgotten.
    pub(crate) fn leave(&mut self, uid: &str, _now: Now) {
        self.timers.remove(uid);
        self.problems.remove(uid);
        self.stop_all(uid, StopCause::Removed);
        let memory = self.memory(uid);
        if !memory.name.is_empty() {
            let identity =
                AssignmentIdentity { namespace: memory.namespace, name: memory.name, uid: uid.to_owned() };
            self.tell_ended(identity);
        }
        self.forget(uid);
    }

    /// Says that nothing of an Assignment is left running, once that is so. It is reported until it is acknowledged.
    fn tell_ended(&mut self, identity: AssignmentIdentity) {
        if self.journal.ledger().claims_of(&identity.uid).next().is_some()
            || !self.ended.insert(identity.uid.clone())
        {
            return;
        }
        let about = format!("ended/{}", identity.uid);
        self.stage(Change::Report(about, Box::new(ReportItem::Ended(identity))));
    }

    fn get_to_know(&mut self, assignment: &Assignment, now: Now) {
        let uid = &assignment.metadata.uid;
        if self.journal.ledger().memories.contains(uid) || self.inherit(assignment, now) {
            return;
        }
        // Boots and ticks before the Assignment arrived are none of its own.
        let memory = Memory {
            cursor: now.wall,
            boot_id: self.config.boot_id.clone(),
            namespace: assignment.metadata.namespace.clone().unwrap_or_default(),
            name: assignment.metadata.name.clone(),
            workload: assignment.spec.workload_ref.uid.clone(),
            epoch: self.store_epoch.clone(),
            ..Memory::default()
        };
        self.stage(Change::Remember(uid.clone(), Box::new(memory)));
    }

    /// Resolves everything that the Assignment refers to, once per desired state: what is missing is known before
    /// anything has to start.
    fn check_references(&mut self, assignment: &Assignment, now: Now) {
        let uid = &assignment.metadata.uid;
        if !self.desired.check(uid) {
            return;
        }
        let Some(template) = template_of(assignment) else { return };
        let trigger = Trigger::default();
        let mut trial =
            self.claim(assignment, template, CauseKey::Request(String::new()), trigger, None, 1, now);
        if let Some(task) = &assignment.spec.task {
            trial.params = task.param_values.clone().unwrap_or_default();
        }
        match launch::resolve(&trial, &self.config, &self.materials, &*self.host) {
            Err(LaunchError::ConfigMissing(missing)) => self.config_missing(&trial, &missing.to_string()),
            // What can never start says so when it fails to.
            Err(LaunchError::Invalid(_)) | Ok(_) => {}
        }
    }

    pub(crate) fn is_config_missing(&self, uid: &str) -> bool {
        self.problems.get(uid).is_some_and(|(reason, _)| reason == "ConfigMissing")
    }

    fn plan_task(&mut self, assignment: &Assignment, task: &TaskSpec, now: Now) {
        let uid = &assignment.metadata.uid;
        let memory = self.memory(uid);
        let known = memory.task_started.is_some() || memory.task_outcome.is_some();
        if known || self.is_config_missing(uid) || self.journal.ledger().claims_of(uid).next().is_some() {
            return;
        }
        let trigger = Trigger { type_: TriggerType::Task, time: Some(now.wall) };
        let cause = CauseKey::Request("task".into());
        let mut claim = self.claim(assignment, &task.template, cause, trigger, None, 1, now);
        claim.params = task.param_values.clone().unwrap_or_default();
        self.stage(Change::Claim(Box::new(claim)));
    }
}

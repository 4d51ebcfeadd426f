//! Executions as they are claimed: who they are, and what they need before they may start.

use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::admission::Needs;
use drover_plan::node::lease::{self, Lease};
use drover_plan::node::run::Rules;
use drover_plan::node::run_name::{Cause, RunIdentity, run_name};
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::run::Trigger;
use drover_types::kinds::template::Template;
use jiff::Timestamp;

use crate::agent::Agent;
use crate::environment::Names;
use crate::ledger::{CauseKey, Claim, Memory, Stage};

impl Agent {
    /// A claim that waits for nothing but admission.
    #[expect(clippy::too_many_arguments, reason = "the parts of an identity, each given once")]
    pub(crate) fn claim(
        &self,
        assignment: &Assignment,
        template: &Template,
        cause: CauseKey,
        trigger: Trigger,
        replica: Option<u32>,
        attempt: u32,
        now: Now,
    ) -> Claim {
        let workload = assignment.spec.workload_ref.clone();
        let deadline = assignment.spec.timer.as_ref().and_then(|timer| timer.starting_deadline);
        Claim {
            run_uid: self.world.uuid_v7().to_string(),
            run_name: self.name(&workload.name, &workload.uid, &cause, replica, attempt),
            namespace: assignment.metadata.namespace.clone().unwrap_or_default(),
            assignment_uid: assignment.metadata.uid.clone(),
            assignment_name: assignment.metadata.name.clone(),
            workload,
            node_labels: assignment.spec.node_labels.clone(),
            params: Default::default(),
            template: template.clone(),
            cause,
            trigger,
            replica,
            attempt,
            claimed_at: now.wall,
            starting_deadline_ms: deadline.map(drover_types::Duration::as_millis),
            stage: Stage::Waiting,
            stop: None,
        }
    }

    /// The attempt after `claim`, at this boot time.
    pub(crate) fn next_attempt(&self, claim: &Claim, at: Duration) -> Claim {
        let attempt = claim.attempt + 1;
        Claim {
            run_uid: self.world.uuid_v7().to_string(),
            run_name: self.name(
                &claim.workload.name,
                &claim.workload.uid,
                &claim.cause,
                claim.replica,
                attempt,
            ),
            attempt,
            stage: Stage::Retry {
                at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
                boot_id: self.config.boot_id.clone(),
            },
            stop: None,
            ..claim.clone()
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of an identity, each given once")]
    fn name(
        &self,
        workload: &str,
        uid: &str,
        cause: &CauseKey,
        replica: Option<u32>,
        attempt: u32,
    ) -> String {
        let cause = match cause {
            CauseKey::Tick(time) => Cause::Tick(*time),
            CauseKey::Request(id) => Cause::Request(id),
        };
        let identity =
            RunIdentity { workload_uid: uid, node_uid: &self.config.node_uid, replica, cause, attempt };
        run_name(workload, &identity)
    }

    /// What a claim needs before it may start.
    pub(crate) fn needs(&self, claim: &Claim) -> Needs {
        let names = Names::new(claim, &self.config.node_name);
        let keys = claim.template.mutex.iter();
        // A key that names what is not there is still a key, and the launch says what is wrong with the template.
        let keys = keys.map(|key| names.substitute(key).unwrap_or_else(|_| key.clone())).collect();
        Needs { lane: claim.template.lane.clone(), keys }
    }

    /// The executions of an Assignment that are not over, in the order of their making.
    pub(crate) fn claims_of(&self, uid: &str) -> Vec<Claim> {
        self.journal.ledger().claims_of(uid).cloned().collect()
    }

    /// What is remembered of an Assignment.
    pub(crate) fn memory(&self, uid: &str) -> Memory {
        let held = self.journal.ledger().memories.get(uid);
        held.unwrap_or_else(|| Memory { cursor: Timestamp::UNIX_EPOCH, ..Memory::default() })
    }

    /// What the lease of an Assignment allows now.
    pub(crate) fn lease(&self, assignment: &Assignment, now: Now) -> Lease {
        let length = assignment.spec.lease.map(drover_types::Duration::to_std);
        let template = template_of(assignment);
        let grace = template.map_or(Duration::ZERO, |template| Rules::of(template).grace);
        if self.fenced_until(assignment, now).is_some() {
            return Lease::Lapsed;
        }
        lease::lease(length, self.heard, grace, now)
    }
}

/// What an Assignment runs.
pub(crate) fn template_of(assignment: &Assignment) -> Option<&Template> {
    let spec = &assignment.spec;
    let timer = spec.timer.as_ref().map(|timer| &timer.template);
    let task = || spec.task.as_ref().map(|task| &task.template);
    timer.or_else(task).or_else(|| spec.service.as_ref().map(|service| &service.template))
}

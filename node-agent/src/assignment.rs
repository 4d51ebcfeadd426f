//! What an Assignment wants now: ticks claimed, tasks and replicas started, what is not wanted ended.

use drover_plan::node::run::StopCause;
use drover_plan::node::run_name::{Cause, RunIdentity, run_name};
use drover_plan::node::schedule::{Anchor, LateRules, Schedule, Tick, due};
use drover_plan::node::timer::{Verdict, decide};
use drover_plan::node::{Now, admission::Needs};
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::run::{Trigger, TriggerType};
use drover_types::kinds::template::Template;
use drover_types::kinds::timer::TimerSpec;
use jiff::Timestamp;
use std::time::Duration;

use crate::agent::{Agent, AgentError, Armed};
use crate::environment::Names;
use crate::ledger::{CauseKey, Change, Claim, Memory, Stage};

impl Agent {
    /// Decides on one Assignment; the boot time at which to look again.
    pub(crate) fn plan(&mut self, uid: &str, now: Now) -> Result<Option<Duration>, AgentError> {
        let Some(assignment) = self.desired.get(uid).cloned() else { return Ok(None) };
        if !self.journal.ledger().memories.contains_key(uid) {
            // Boots and ticks before the Assignment arrived are none of its own.
            let memory =
                Memory { cursor: now.wall, boot_id: self.config.boot_id.clone(), ..Memory::default() };
            self.journal.stage(Change::Remember(uid.to_owned(), Box::new(memory)))?;
        }
        let leaving =
            assignment.metadata.deletion_timestamp.is_some() || assignment.spec.evicted == Some(true);
        if leaving {
            self.timers.remove(uid);
            self.stop_all(uid, StopCause::Removed, now)?;
            return Ok(None);
        }
        if let Some(timer) = &assignment.spec.timer {
            return self.plan_timer(&assignment, timer, now);
        }
        if self.problems.contains_key(uid) {
            // It waits for what is missing: the next desired state brings it.
            return Ok(None);
        }
        if let Some(task) = &assignment.spec.task {
            let memory = self.memory(uid);
            let known = memory.task_started.is_some() || memory.task_outcome.is_some();
            if !known && self.claims_of(uid).is_empty() {
                let trigger = Trigger { type_: TriggerType::Task, time: Some(now.wall) };
                let mut claim = self.claim(
                    &assignment,
                    &task.template,
                    CauseKey::Request("task".into()),
                    trigger,
                    None,
                    1,
                    now,
                );
                claim.params = task.param_values.clone().unwrap_or_default();
                self.journal.stage(Change::Claim(Box::new(claim)))?;
            }
            return Ok(None);
        }
        self.plan_service(&assignment, now)
    }

    fn plan_timer(
        &mut self,
        assignment: &Assignment,
        timer: &TimerSpec,
        now: Now,
    ) -> Result<Option<Duration>, AgentError> {
        let uid = &assignment.metadata.uid;
        let mut memory = self.memory(uid);
        if self.timers.get(uid).is_none_or(|armed| armed.spec != *timer) {
            let schedule = Schedule::of(timer, &assignment.spec.workload_ref.uid, &self.config.node_uid);
            let schedule = match schedule {
                Ok(schedule) => schedule,
                Err(error) => {
                    self.problems.insert(uid.clone(), ("InvalidSchedule".into(), error.to_string()));
                    return Ok(None);
                }
            };
            let anchor = Anchor::new(now, memory.cursor);
            self.timers.insert(uid.clone(), Armed { spec: timer.clone(), schedule, anchor, next: None });
        }
        let Some(armed) = self.timers.get_mut(uid) else { return Ok(None) };
        let time = if armed.schedule.is_periodic() { armed.anchor.time(now) } else { now.wall };
        if timer.suspend == Some(true) {
            // What would have ticked meanwhile was not missed.
            armed.next = None;
            if armed.schedule.next_after(memory.cursor).is_some_and(|tick| tick <= time) {
                memory.cursor = time;
                self.journal.stage(Change::Remember(uid.clone(), Box::new(memory)))?;
            }
            return Ok(Some(now.boottime + Duration::from_secs(60)));
        }
        if armed.schedule.is_on_boot() {
            if memory.boot_id != self.config.boot_id {
                memory.boot_id.clone_from(&self.config.boot_id);
                memory.last_tick = Some(now.wall);
                self.journal.stage(Change::Remember(uid.clone(), Box::new(memory)))?;
                let cause = CauseKey::Request(format!("boot/{}", self.config.boot_id));
                let trigger = Trigger { type_: TriggerType::Schedule, time: Some(now.wall) };
                let claim = self.claim(assignment, &timer.template, cause, trigger, None, 1, now);
                self.tick(assignment, timer, claim, now)?;
            }
            return Ok(None);
        }
        let found = due(&armed.schedule, &LateRules::of(timer), memory.cursor, time);
        armed.next = found.next;
        let anchor = armed.anchor;
        let periodic = armed.schedule.is_periodic();
        if let Some(cursor) = found.cursor {
            memory.cursor = cursor;
            memory.skipped += found.skipped;
            memory.last_tick = found.run.last().map(|tick| tick.time).or(memory.last_tick);
            self.journal.stage(Change::Remember(uid.clone(), Box::new(memory)))?;
            for Tick { time, late } in found.run {
                let type_ = if late { TriggerType::CatchUp } else { TriggerType::Schedule };
                let trigger = Trigger { type_, time: Some(time) };
                let claim =
                    self.claim(assignment, &timer.template, CauseKey::Tick(time), trigger, None, 1, now);
                self.tick(assignment, timer, claim, now)?;
            }
        }
        Ok(found.next.map(|next| {
            if periodic {
                return anchor.boottime_of(next);
            }
            let ahead = Duration::try_from(next.duration_since(now.wall)).unwrap_or_default();
            // The wall may be set meanwhile.
            now.boottime + ahead.min(Duration::from_secs(30))
        }))
    }

    /// What becomes of a tick, while earlier executions may live.
    pub(crate) fn tick(
        &mut self,
        assignment: &Assignment,
        timer: &TimerSpec,
        mut claim: Claim,
        now: Now,
    ) -> Result<(), AgentError> {
        let uid = &assignment.metadata.uid;
        let (queued, live): (Vec<Claim>, Vec<Claim>) =
            self.claims_of(uid).into_iter().partition(|held| held.stage == Stage::Queued);
        match decide(timer.concurrency_policy.unwrap_or_default(), live.len(), queued.len()) {
            Verdict::Start => {}
            Verdict::Queue => claim.stage = Stage::Queued,
            Verdict::Replace => {
                for held in queued {
                    self.skip(&held, "Replaced", "a later tick took its place before it started")?;
                }
                self.stop_all(uid, StopCause::Replaced, now)?;
                claim.stage = Stage::Queued;
            }
            Verdict::Skip(reason) => {
                return self.skip(
                    &claim,
                    reason,
                    "an earlier execution of the timer still lives on this node",
                );
            }
        }
        self.journal.stage(Change::Claim(Box::new(claim)))?;
        Ok(())
    }

    fn plan_service(&mut self, assignment: &Assignment, now: Now) -> Result<Option<Duration>, AgentError> {
        let Some(service) = &assignment.spec.service else { return Ok(None) };
        let uid = &assignment.metadata.uid;
        let wanted = service.replicas.unwrap_or(1);
        let claims = self.claims_of(uid);
        let mut busy =
            claims.iter().any(|claim| claim.stop.is_some() || !self.live.contains_key(&claim.run_uid));
        for claim in &claims {
            if claim.replica.is_some_and(|replica| replica >= wanted) {
                self.stop(claim, StopCause::Removed, now)?;
            } else if claim.template != service.template && !busy {
                // One after the other, and the next only when the one before is up again.
                busy = true;
                self.stop(claim, StopCause::Changed, now)?;
                self.replicas.remove(&(uid.clone(), claim.replica.unwrap_or(0)));
            }
        }
        let mut wake: Option<Duration> = None;
        for replica in 0..wanted {
            if claims.iter().any(|claim| claim.replica == Some(replica)) {
                continue;
            }
            let slot = self.replicas.entry((uid.clone(), replica)).or_default();
            if slot.stays_down {
                continue;
            }
            if slot.start_at > now.boottime {
                wake = Some(wake.map_or(slot.start_at, |at| at.min(slot.start_at)));
                continue;
            }
            let mut memory = self.memory(uid);
            let starts = memory.starts.entry(replica).or_default();
            *starts += 1;
            let attempt = *starts;
            self.journal.stage(Change::Remember(uid.clone(), Box::new(memory)))?;
            let trigger = Trigger { type_: TriggerType::Service, time: Some(now.wall) };
            let cause = CauseKey::Request("service".into());
            let claim =
                self.claim(assignment, &service.template, cause, trigger, Some(replica), attempt, now);
            self.journal.stage(Change::Claim(Box::new(claim)))?;
        }
        Ok(wake)
    }

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
        let claims = self.journal.ledger().claims.values().filter(|claim| claim.assignment_uid == uid);
        claims.cloned().collect()
    }

    /// What is remembered of an Assignment.
    pub(crate) fn memory(&self, uid: &str) -> Memory {
        self.journal
            .ledger()
            .memories
            .get(uid)
            .cloned()
            .unwrap_or_else(|| Memory { cursor: Timestamp::UNIX_EPOCH, ..Memory::default() })
    }
}

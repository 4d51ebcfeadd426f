//! Ends of attempts: what each means for its execution, its Assignment and the replica.

use std::time::Duration;

use drover_plan::node::run::{self, Ended, Next, StopCause};
use drover_plan::node::{Now, run::Rules};
use drover_spawn::{Outcome, RunState};
use drover_types::kinds::run::{RunPhase, RunStatus};
use jiff::Timestamp;

use crate::agent::Agent;
use crate::handle::AgentError;
use crate::ledger::{Change, Claim, Memory, Stage};
use crate::report;
use crate::services::ReplicaEnd;

/// How soon a keeper that was just spawned is looked at again.
const SOON: Duration = Duration::from_millis(50);

impl Agent {
    /// Looks at one run and draws the conclusions.
    pub(crate) fn look_at(&mut self, run_uid: &str, now: Now) -> Result<(), AgentError> {
        let Some(claim) = self.journal.ledger().claims.get(run_uid).cloned() else { return Ok(()) };
        if claim.stage != Stage::Admitted {
            return Ok(());
        }
        let dir = self.run_dir(run_uid);
        let look = self.host.look(&dir).map_err(AgentError::Host)?;
        match &look.state {
            RunState::Started(started) if look.alive => {
                if !self.live.contains_key(run_uid) {
                    let boot = Duration::from_nanos(u64::try_from(started.at.boot_ns).unwrap_or(0));
                    self.live.insert(run_uid.to_owned(), (run::Live::new(boot), started.clone()));
                    self.told.remove(run_uid);
                    self.dirty.insert(claim.assignment_uid.clone());
                    self.changed.insert(claim.assignment_uid.clone());
                    let status = report::observed(&look.state);
                    self.note_start(&claim, status.started_at);
                    self.stage(report::run(&claim, &self.config.node_name, status));
                }
            }
            // The code is known, and the keeper still ends what the process left behind: nothing takes its place yet.
            RunState::Exited(_, exited) if look.alive && !exited.complete => {}
            RunState::Nothing if look.alive && !self.spawned.contains(run_uid) => {
                // Spawned just before the last start of the agent ended: nobody tells us when it starts.
                self.notify(run_uid, Box::pin(tokio::time::sleep(SOON)));
            }
            RunState::Nothing if look.alive => {}
            RunState::Exited(started, exited)
                if !exited.complete && started.boot_id == self.config.boot_id =>
            {
                self.bury(run_uid, look.state.clone());
            }
            RunState::Exited(_, exited) => {
                let ended = match exited.outcome {
                    Outcome::Code(code) => Ended::Code(code),
                    Outcome::Signal(number) => Ended::Signal(number),
                };
                self.ended(&claim, &look.state, ended, now);
            }
            RunState::FailedToStart(_) => self.ended(&claim, &look.state, Ended::NotStarted, now),
            RunState::Started(started) if started.boot_id != self.config.boot_id => {
                self.ended(&claim, &look.state, Ended::HostRestarted, now);
            }
            // Its keeper was killed. Nothing takes its place before the whole tree is gone.
            RunState::Started(_) => self.bury(run_uid, look.state.clone()),
            // Nothing was executed. It is resumed under the same identity, once per start of the agent.
            RunState::Nothing if !self.spawned.contains(run_uid) => {
                self.to_spawn.insert(run_uid.to_owned());
            }
            RunState::Nothing => self.ended(&claim, &look.state, Ended::NotStarted, now),
        }
        Ok(())
    }

    fn note_start(&mut self, claim: &Claim, started_at: Option<Timestamp>) {
        let mut memory = self.memory(&claim.assignment_uid);
        if claim.workload.kind == "Task" && memory.task_started.is_none() {
            memory.task_started = started_at.or(Some(claim.claimed_at));
            self.stage(Change::Remember(claim.assignment_uid.clone(), Box::new(memory)));
        }
    }

    /// Gives an execution up that never ran.
    pub(crate) fn skip(&mut self, claim: &Claim, reason: &str, message: &str) {
        let mut memory = self.memory(&claim.assignment_uid);
        memory.skipped += 1;
        self.remember(claim, memory);
        let status = RunStatus {
            phase: RunPhase::Skipped,
            reason: reason.into(),
            message: message.into(),
            ..RunStatus::default()
        };
        self.stage(report::run(claim, &self.config.node_name, status));
        self.release(claim);
    }

    fn release(&mut self, claim: &Claim) {
        self.live.remove(&claim.run_uid);
        self.spawned.remove(&claim.run_uid);
        self.told.remove(&claim.run_uid);
        self.to_spawn.remove(&claim.run_uid);
        self.admission.release(&claim.run_uid);
        self.stage(Change::Release(claim.run_uid.clone()));
    }

    /// An Assignment that was forgotten meanwhile is not remembered again.
    fn remember(&mut self, claim: &Claim, memory: Memory) {
        if self.journal.ledger().memories.contains(&claim.assignment_uid) {
            self.stage(Change::Remember(claim.assignment_uid.clone(), Box::new(memory)));
        }
    }

    /// An attempt is over.
    pub(crate) fn ended(&mut self, claim: &Claim, state: &RunState, ended: Ended, now: Now) {
        let (phase, reason) = run::verdict(ended, claim.stop);
        let mut status = report::observed(state);
        status.phase = phase;
        status.pid = None;
        status.reason = reason.into();
        status.finished_at.get_or_insert(now.wall);
        report::explain(&mut status, ended, claim.template.timeout);
        let tail = self.host.tail(&self.run_dir(&claim.run_uid), report::TAIL_BYTES).unwrap_or_default();
        status.output_tail = report::tail_text(&tail);
        let started_at = status.started_at;
        let last_end = report::in_words(&status);
        let started = state.started().map(|s| Duration::from_nanos(u64::try_from(s.at.boot_ns).unwrap_or(0)));
        self.stage(report::run(claim, &self.config.node_name, status));
        self.release(claim);

        let mut memory = self.memory(&claim.assignment_uid);
        memory.last_phase = Some(phase);
        memory.last_end = last_end;
        if claim.workload.kind == "Task" {
            // A short one may have ended before it was seen alive.
            memory.task_started = memory.task_started.or(started_at);
        }
        if phase == RunPhase::Succeeded {
            memory.last_success = Some(now.wall);
        }
        memory.finished.push_back((claim.run_uid.clone(), phase == RunPhase::Succeeded));
        if claim.replica.is_some() {
            let up = started.map_or(Duration::ZERO, |at| now.boottime.saturating_sub(at));
            self.replica_ended(claim, &mut memory, ReplicaEnd { phase, up }, now);
        } else {
            self.execution_ended(claim, &mut memory, phase, now);
        }
        self.trim_history(&claim.assignment_uid, &mut memory);
        self.remember(claim, memory);
    }

    /// What follows an attempt of a timer's or a task's execution.
    fn execution_ended(&mut self, claim: &Claim, memory: &mut Memory, phase: RunPhase, now: Now) {
        let is_task = claim.workload.kind == "Task";
        if is_task && claim.stop == Some(StopCause::LeaseLost) {
            // If it stays this node's, it begins again once the lease does.
            let next = self.next_attempt(claim, now.boottime);
            return self.stage(Change::Claim(Box::new(next)));
        }
        match run::next(&Rules::of(&claim.template), claim.attempt, phase, claim.stop, now) {
            Next::RetryAt(at) => {
                let next = self.next_attempt(claim, at);
                self.stage(Change::Claim(Box::new(next)));
            }
            Next::Done if is_task => memory.task_outcome = Some((phase, now.wall)),
            Next::Done => {}
        }
    }
}

//! Ends of attempts: what each means for its execution, its Assignment and the replica.

use std::time::Duration;

use drover_plan::node::run::{self, Ended, Next};
use drover_plan::node::service::{After, RestartRules};
use drover_plan::node::{Now, run::Rules};
use drover_spawn::{Outcome, RunState};
use drover_types::kinds::run::{RunPhase, RunStatus};

use crate::agent::{Agent, AgentError};
use crate::ledger::{Change, Claim, Stage};
use crate::report;

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
                    self.note_start(&claim)?;
                    self.journal.stage(report::run(
                        &claim,
                        &self.config.node_name,
                        report::observed(&look.state),
                    ))?;
                }
                Ok(())
            }
            _ if look.alive => Ok(()),
            RunState::Exited(_, exited) => {
                let ended = match exited.outcome {
                    Outcome::Code(code) => Ended::Code(code),
                    Outcome::Signal(number) => Ended::Signal(number),
                };
                self.ended(&claim, &look.state, ended, now)
            }
            RunState::FailedToStart(_) => self.ended(&claim, &look.state, Ended::NotStarted, now),
            RunState::Started(started) if started.boot_id != self.config.boot_id => {
                self.ended(&claim, &look.state, Ended::HostRestarted, now)
            }
            // Its keeper was killed. Nothing takes its place before the whole tree is gone.
            RunState::Started(_) => {
                self.bury(run_uid, look.state.clone());
                Ok(())
            }
            // Nothing was executed. It is resumed under the same identity, once per start of the agent.
            RunState::Nothing if !self.spawned.contains(run_uid) => self.resume(&claim, now),
            RunState::Nothing => self.ended(&claim, &look.state, Ended::NotStarted, now),
        }
    }

    fn note_start(&mut self, claim: &Claim) -> Result<(), AgentError> {
        let mut memory = self.memory(&claim.assignment_uid);
        if claim.workload.kind == "Task" && memory.task_started.is_none() {
            memory.task_started = Some(claim.claimed_at);
            self.journal.stage(Change::Remember(claim.assignment_uid.clone(), Box::new(memory)))?;
        }
        Ok(())
    }

    /// A claim that was on disk when the agent went down, and whose process never started.
    fn resume(&mut self, claim: &Claim, now: Now) -> Result<(), AgentError> {
        let late = now.wall.duration_since(claim.claimed_at);
        let deadline = claim.starting_deadline_ms.and_then(|ms| i64::try_from(ms).ok());
        if deadline.is_some_and(|ms| late > jiff::SignedDuration::from_millis(ms)) {
            return self.skip(
                claim,
                "StartingDeadline",
                "it was claimed, and the agent was down too long to start it",
            );
        }
        self.to_spawn.insert(claim.run_uid.clone());
        Ok(())
    }

    /// Gives an execution up that never ran.
    pub(crate) fn skip(&mut self, claim: &Claim, reason: &str, message: &str) -> Result<(), AgentError> {
        let mut memory = self.memory(&claim.assignment_uid);
        memory.skipped += 1;
        self.journal.stage(Change::Remember(claim.assignment_uid.clone(), Box::new(memory)))?;
        let status = RunStatus {
            phase: RunPhase::Skipped,
            reason: reason.into(),
            message: message.into(),
            ..RunStatus::default()
        };
        self.journal.stage(report::run(claim, &self.config.node_name, status))?;
        self.admission.release(&claim.run_uid);
        self.journal.stage(Change::Release(claim.run_uid.clone()))?;
        Ok(())
    }

    /// An attempt is over.
    pub(crate) fn ended(
        &mut self,
        claim: &Claim,
        state: &RunState,
        ended: Ended,
        now: Now,
    ) -> Result<(), AgentError> {
        let (phase, reason) = run::verdict(ended, claim.stop);
        let mut status = report::observed(state);
        status.phase = phase;
        status.pid = None;
        status.reason = reason.into();
        status.finished_at.get_or_insert(now.wall);
        let tail = self.host.tail(&self.run_dir(&claim.run_uid), report::TAIL_BYTES).unwrap_or_default();
        status.output_tail = String::from_utf8_lossy(&tail).into_owned();
        let started = state.started().map(|s| Duration::from_nanos(u64::try_from(s.at.boot_ns).unwrap_or(0)));
        self.journal.stage(report::run(claim, &self.config.node_name, status))?;
        self.live.remove(&claim.run_uid);
        self.spawned.remove(&claim.run_uid);
        self.admission.release(&claim.run_uid);
        self.journal.stage(Change::Release(claim.run_uid.clone()))?;

        let mut memory = self.memory(&claim.assignment_uid);
        memory.last_phase = Some(phase);
        if phase == RunPhase::Succeeded {
            memory.last_success = Some(now.wall);
        }
        memory.finished.push_back((claim.run_uid.clone(), phase == RunPhase::Succeeded));
        if let Some(replica) = claim.replica {
            self.replica_ended(claim, replica, phase, started, now);
        } else {
            match run::next(&Rules::of(&claim.template), claim.attempt, phase, claim.stop, now) {
                Next::RetryAt(at) => {
                    let next = self.next_attempt(claim, at);
                    self.journal.stage(Change::Claim(Box::new(next)))?;
                }
                Next::Done if claim.workload.kind == "Task" && claim.stop.is_none() => {
                    memory.task_outcome = Some((phase, now.wall));
                }
                Next::Done => {}
            }
        }
        self.trim_history(&claim.assignment_uid, &mut memory);
        self.journal.stage(Change::Remember(claim.assignment_uid.clone(), Box::new(memory)))?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of the end, each given once")]
    fn replica_ended(
        &mut self,
        claim: &Claim,
        replica: u32,
        phase: RunPhase,
        started: Option<Duration>,
        now: Now,
    ) {
        let Some(spec) = self.desired.get(&claim.assignment_uid).and_then(|a| a.spec.service.clone()) else {
            return;
        };
        let slot = self.replicas.entry((claim.assignment_uid.clone(), replica)).or_default();
        // One that was ended on purpose did not fail.
        if claim.stop.is_some() {
            slot.start_at = Duration::ZERO;
            return;
        }
        let up = started.map_or(Duration::ZERO, |at| now.boottime.saturating_sub(at));
        let rules = RestartRules::of(spec.restart.as_ref());
        match slot.history.ended(&rules, phase == RunPhase::Succeeded, up, now) {
            After::StartAt(at) => slot.start_at = at,
            After::Stay => slot.stays_down = true,
        }
    }
}

//! Claims move on: queued ones to waiting, due retries to waiting, admitted ones to their keepers.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::run::Ended;
use drover_spawn::state::FailedToStart;
use drover_spawn::{Clocks, RunState, SpawnError};

use crate::agent::Agent;
use crate::launch::{self, LaunchError};
use crate::ledger::{CauseKey, Change, Claim, Stage};
use crate::unwritable::is_unwritable;

impl Agent {
    /// Moves on what can; the boot time at which the next retry is due.
    pub(crate) fn advance(&mut self, now: Now) -> Duration {
        let mut wake = Duration::MAX;
        let all = self.journal.ledger().claims.values();
        let (waiting, mut occupied) = all.fold((Vec::new(), BTreeSet::new()), |mut seen, claim| {
            if claim.stage != Stage::Admitted {
                seen.0.push(claim.clone());
            }
            if claim.stage != Stage::Queued {
                seen.1.insert(claim.assignment_uid.clone());
            }
            seen
        });
        let mut waiting: Vec<Claim> = waiting;
        // A run uid begins with its time; where several were made at once, their ticks decide.
        waiting.sort_by(|a, b| (a.claimed_at, &a.cause).cmp(&(b.claimed_at, &b.cause)));
        for mut claim in waiting {
            if !self.may_start(&claim, now) {
                self.admission.release(&claim.run_uid);
                continue;
            }
            match &claim.stage {
                Stage::Queued if occupied.insert(claim.assignment_uid.clone()) => {}
                Stage::Retry { at_ms, boot_id } => {
                    let at = Duration::from_millis(*at_ms);
                    if *boot_id == self.config.boot_id && at > now.boottime {
                        wake = wake.min(at);
                        continue;
                    }
                }
                Stage::Waiting => {
                    self.ask(&claim);
                    continue;
                }
                Stage::Queued | Stage::Admitted => continue,
            }
            claim.stage = Stage::Waiting;
            self.stage_quietly(Change::Claim(Box::new(claim.clone())));
            self.ask(&claim);
        }
        for run_uid in self.admission.admit(&self.pool.lanes) {
            let Some(mut claim) = self.journal.ledger().claims.get(&run_uid).cloned() else {
                self.admission.release(&run_uid);
                continue;
            };
            claim.stage = Stage::Admitted;
            self.stage_quietly(Change::Claim(Box::new(claim)));
            self.to_spawn.insert(run_uid);
        }
        wake
    }

    fn ask(&mut self, claim: &Claim) {
        let needs = self.needs(claim);
        // A tick has its time; what has none asks again whenever something moves.
        if !self.admission.ask(&claim.run_uid, needs) && matches!(claim.cause, CauseKey::Tick(_)) {
            self.skip(claim, "TooManyWaiting", "10000 executions wait on this node already");
        }
    }

    fn may_start(&self, claim: &Claim, now: Now) -> bool {
        !self.lost && self.desired.get(&claim.assignment_uid).is_none_or(|held| self.lease(held, now).holds())
    }

    /// Gives an admitted claim to a keeper. All that was decided is on disk.
    pub(crate) fn launch(&mut self, run_uid: &str, now: Now) {
        let Some(claim) = self.journal.ledger().claims.get(run_uid).cloned() else { return };
        if self.lost {
            // Whether it may run here still, and until when, is not known.
            self.to_spawn.insert(run_uid.to_owned());
            return;
        }
        if let Some(cause) = claim.stop {
            return self.skip(&claim, cause.reason(), "it was not wanted any more before it started");
        }
        if too_late(&claim, now) {
            return self.skip(&claim, "StartingDeadline", "it could not start within its starting deadline");
        }
        let spec = match launch::run_spec(&claim, &self.config, &self.materials, &*self.host) {
            Ok(mut spec) => {
                spec.leash = self.leash(&claim);
                spec
            }
            Err(LaunchError::ConfigMissing(missing)) => {
                let message = missing.to_string();
                self.config_missing(&claim, &message);
                return self.skip(&claim, "ConfigMissing", &message);
            }
            Err(error) => return self.cannot_start(&claim, error.to_string(), now),
        };
        let dir = self.run_dir(run_uid);
        let started = match self.disk.create_dir(&dir, 0o700) {
            Ok(()) => self.host.start(&dir, spec),
            Err(error) => Err(SpawnError::Io("run directory", error)),
        };
        match started {
            Ok(watches) => {
                self.spawned.insert(run_uid.to_owned());
                for watch in watches {
                    self.notify(run_uid, watch);
                }
            }
            // It was started after all, by an agent that did not live to see it.
            Err(SpawnError::KeeperAlive | SpawnError::AlreadyRan(_)) => {
                self.touched.insert(run_uid.to_owned());
                self.watch_again(run_uid);
            }
            // It says nothing about the run: the claim stands, and is tried again.
            Err(SpawnError::Io(what, error)) if is_unwritable(&error) => {
                tracing::error!(run = run_uid, %error, "a run cannot be started for now: {what}");
                self.to_spawn.insert(run_uid.to_owned());
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
                self.cannot_start(&claim, format!("{error}: {source}"), now);
            }
        }
    }

    fn cannot_start(&mut self, claim: &Claim, reason: String, now: Now) {
        let failed = FailedToStart { reason, at: clocks(now) };
        self.ended(claim, &RunState::FailedToStart(failed), Ended::NotStarted, now);
    }

    /// What is missing is known of the Assignment from here on, until a desired state brings it.
    pub(crate) fn config_missing(&mut self, claim: &Claim, message: &str) {
        let uid = &claim.assignment_uid;
        self.changed.insert(uid.clone());
        self.problems.insert(uid.clone(), ("ConfigMissing".into(), message.to_owned()));
        self.event(&claim.workload, &claim.namespace, "ConfigMissing", message);
    }
}

fn clocks(now: Now) -> Clocks {
    let nanos = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
    let boot_ns = i128::try_from(now.boottime.as_nanos()).unwrap_or(i128::MAX);
    Clocks { wall_ns: nanos(now.wall.as_nanosecond()), boot_ns: nanos(boot_ns) }
}

/// Whether a tick's starting deadline is over. One that has started once is past it for good.
fn too_late(claim: &Claim, now: Now) -> bool {
    let (CauseKey::Tick(tick), Some(deadline)) = (&claim.cause, claim.starting_deadline_ms) else {
        return false;
    };
    let deadline = jiff::SignedDuration::from_millis(i64::try_from(deadline).unwrap_or(i64::MAX));
    claim.attempt == 1 && now.wall.duration_since(*tick) > deadline
}

//! Claims move on: queued ones to waiting, due retries to waiting, admitted ones to their keepers.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::run::Ended;
use drover_spawn::state::FailedToStart;
use drover_spawn::{Clocks, RunSpec, RunState, SpawnError};

use crate::agent::Agent;
use crate::host::{Ready, Watch};
use crate::launch::{self, LaunchError};
use crate::ledger::{CauseKey, Change, Claim, Stage};
use crate::unwritable::is_unwritable;

/// Keepers started in one round of the loop.
const LAUNCHES: usize = 64;

/// A claim and its keeper, which waits for the word to go on; or why there is none.
pub(crate) type Waiting = (Claim, Result<Box<dyn Ready>, SpawnError>);

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
        let uid = claim.assignment_uid.as_str();
        if self.lost || !self.desired.leased().contains_key(uid) {
            return !self.lost;
        }
        // One with a lease is in memory.
        let held = self.desired.get(uid);
        held.is_ok_and(|held| held.is_none_or(|held| self.lease(&held, now).holds()))
    }

    /// Gets keepers ready for admitted claims, a bounded number of them: between two rounds the loop hears what else there
    /// is, such as the server's pings. They begin with [`Agent::launch`], once all that was decided is on disk.
    pub(crate) fn get_ready(&mut self, now: Now) -> Vec<Waiting> {
        if self.lost {
            // Whether they may run here still, and until when, is not known.
            return Vec::new();
        }
        let later = self.to_spawn.iter().nth(LAUNCHES).cloned();
        let later = later.map(|first| self.to_spawn.split_off(&first)).unwrap_or_default();
        let batch = std::mem::replace(&mut self.to_spawn, later);
        let prepared: Vec<(Claim, RunSpec)> =
            batch.iter().filter_map(|run_uid| self.prepare(run_uid, now)).collect();
        let dirs: Vec<PathBuf> = prepared.iter().map(|(claim, _)| self.run_dir(&claim.run_uid)).collect();
        // What spoils it for one is not to spoil it for the others.
        let all = self.disk.create_dirs(&dirs, 0o700).is_ok();
        let ready = prepared.into_iter().zip(&dirs).map(|((claim, spec), dir)| {
            let made = if all { Ok(()) } else { self.disk.create_dir(dir, 0o700) };
            let ready = match made {
                Ok(()) => self.host.ready(dir, spec),
                Err(error) => Err(SpawnError::Io("run directory", error)),
            };
            (claim, ready)
        });
        let mut ready: Vec<Waiting> = ready.collect();
        // One sync for the names of all of them, while their keepers get ready.
        if !ready.is_empty()
            && let Err(error) = self.disk.sync_names(&self.runs_dir())
        {
            for (_, ready) in &mut ready {
                let error = error.raw_os_error().map_or_else(
                    || io::Error::new(error.kind(), error.to_string()),
                    io::Error::from_raw_os_error,
                );
                *ready = Err(SpawnError::Io("run directory", error));
            }
        }
        ready
    }

    /// Lets those begin that are ready. False when the host refuses some for now, which are to be tried again. All that
    /// was decided is on disk.
    pub(crate) fn launch(&mut self, ready: Vec<Waiting>, now: Now) -> bool {
        let mut taken = true;
        for (claim, ready) in ready {
            let started = ready.and_then(|ready| ready.go());
            taken &= self.launched(&claim, started, now);
        }
        taken
    }

    /// What a claim's keeper is to be told; none where there is to be none.
    fn prepare(&mut self, run_uid: &str, now: Now) -> Option<(Claim, RunSpec)> {
        let claim = self.journal.ledger().claims.get(run_uid).cloned()?;
        if let Some(cause) = claim.stop {
            self.skip(&claim, cause.reason(), "it was not wanted any more before it started");
            return None;
        }
        if too_late(&claim, now) {
            self.skip(&claim, "StartingDeadline", "it could not start within its starting deadline");
            return None;
        }
        match launch::run_spec(&claim, &self.config, &self.materials, &*self.host) {
            Ok(mut spec) => {
                spec.leash = self.leash(&claim);
                return Some((claim, spec));
            }
            Err(LaunchError::ConfigMissing(missing)) => {
                let message = missing.to_string();
                self.config_missing(&claim, &message);
                self.skip(&claim, "ConfigMissing", &message);
            }
            Err(error) => self.cannot_start(&claim, error.to_string(), now),
        }
        None
    }

    /// False when it is to be tried again.
    fn launched(&mut self, claim: &Claim, started: Result<Vec<Watch>, SpawnError>, now: Now) -> bool {
        let run_uid = &claim.run_uid;
        match started {
            Ok(watches) => {
                self.spawned.insert(run_uid.clone());
                for watch in watches {
                    self.notify(run_uid, watch);
                }
            }
            // It was started after all, by an agent that did not live to see it; or it was not, and a look says so.
            Err(SpawnError::KeeperAlive | SpawnError::AlreadyRan(_) | SpawnError::Interrupted) => {
                self.touched.insert(run_uid.clone());
                self.watch_again(run_uid);
            }
            // It says nothing about the run: the claim stands, and is tried again.
            Err(SpawnError::Io(what, error)) if is_unwritable(&error) => {
                tracing::error!(run = run_uid, %error, "a run cannot be started for now: {what}");
                self.to_spawn.insert(run_uid.clone());
                return false;
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
                self.cannot_start(claim, format!("{error}: {source}"), now);
            }
        }
        true
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

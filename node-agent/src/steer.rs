//! What lives: watched, asked to end, killed with all that it has started.

use std::sync::Arc;
use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::run::{Rules, Step, StopCause};
use drover_spawn::process::{Signal, signal_named};
use drover_spawn::{RunState, Started};

use crate::agent::Agent;
use crate::handle::Message;
use crate::host::Watch;
use crate::ledger::{Change, Claim, Stage};

impl Agent {
    /// Timeouts and terminations of what lives.
    pub(crate) fn steer(&mut self, now: Now) -> Duration {
        let mut wake = Duration::MAX;
        let mut steps = Vec::new();
        for (run_uid, (live, started)) in &mut self.live {
            let Some(claim) = self.journal.ledger().claims.get(run_uid) else { continue };
            if let Some(cause) = claim.stop {
                live.stop(cause, now);
            }
            match live.step(&Rules::of(&claim.template), now) {
                Step::Wait(at) => wake = wake.min(at.unwrap_or(Duration::MAX)),
                step => steps.push((claim.clone(), started.clone(), step)),
            }
        }
        for (claim, started, step) in steps {
            match step {
                Step::Wait(_) => {}
                Step::Terminate(cause) => {
                    self.terminate(claim, &started, cause);
                    wake = now.boottime;
                }
                Step::Kill => self.bury(&claim.run_uid, RunState::Started(started)),
            }
        }
        wake
    }

    fn terminate(&mut self, mut claim: Claim, started: &Started, cause: StopCause) {
        let name = claim.template.process.termination_signal.as_deref().unwrap_or("SIGTERM");
        let signal = signal_named(name).unwrap_or(Signal::TERM);
        // The cause is on disk before the signal: a crash in between must not make a timeout a failure. A full disk
        // does not keep anything alive, though.
        let run_uid = claim.run_uid.clone();
        claim.stop = Some(cause);
        self.stage_quietly(Change::Claim(Box::new(claim)));
        self.flush();
        if let Err(error) = self.host.signal(started, signal) {
            tracing::error!(run = run_uid, %error, "a run cannot be signalled; it is killed after its grace period");
        }
    }

    /// Ends every execution of an Assignment.
    pub(crate) fn stop_all(&mut self, uid: &str, cause: StopCause) {
        for claim in self.claims_of(uid) {
            self.stop(&claim, cause);
        }
    }

    /// Ends every execution of an Assignment that may have begun. What waits goes on waiting.
    pub(crate) fn stop_live(&mut self, uid: &str, cause: StopCause) {
        for claim in self.claims_of(uid).iter().filter(|claim| claim.stage == Stage::Admitted) {
            self.stop(claim, cause);
        }
    }

    /// Ends an execution, or gives it up if it has not started.
    pub(crate) fn stop(&mut self, claim: &Claim, cause: StopCause) {
        if claim.stage != Stage::Admitted {
            return self.skip(claim, cause.reason(), "it was not wanted any more before it started");
        }
        if claim.stop.is_none() {
            self.stage(Change::Claim(Box::new(Claim { stop: Some(cause), ..claim.clone() })));
        }
    }

    /// Kills everything of a run, off this thread.
    pub(crate) fn bury(&mut self, run_uid: &str, state: RunState) {
        if !self.buried.insert(run_uid.to_owned()) {
            return;
        }
        let (host, sender, run_uid) = (Arc::clone(&self.host), self.sender.clone(), run_uid.to_owned());
        let world = self.world.clone();
        // Detached, as the work is: what has been begun to be killed is, whether or not the loop lives to hear of it.
        tokio::spawn(async move {
            let (uid, held) = (run_uid.clone(), state.clone());
            let ended = world.blocking(move || host.end(&uid, &held)).await;
            let whole = ended.is_ok_and(|whole| whole.unwrap_or(false));
            // Nobody listens: then the next start of the agent does it.
            let _ = sender.send(Message::Buried(run_uid, Box::new(state), whole)).await;
        });
    }

    pub(crate) fn watch_again(&mut self, run_uid: &str) {
        if self.spawned.contains(run_uid) {
            // Its watches were there from the start.
            return;
        }
        let dir = self.run_dir(run_uid);
        if self.host.look(&dir).is_ok_and(|look| look.alive)
            && let Ok(watch) = self.host.watch(&dir)
        {
            self.notify(run_uid, watch);
        }
    }

    /// Looks at a run again when `watch` resolves.
    pub(crate) fn notify(&self, run_uid: &str, watch: Watch) {
        let (sender, run_uid) = (self.sender.clone(), run_uid.to_owned());
        tokio::spawn(async move {
            watch.await;
            let _ = sender.send(Message::Look(run_uid)).await;
        });
    }
}

//! The agent's loop: look, decide, journal, sync, act.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover_plan::node::admission::Admission;
use drover_plan::node::run::{Ended, Live, Rules, Step, StopCause};
use drover_plan::node::schedule::{Anchor, Schedule};
use drover_plan::node::{Now, service::Replica};
use drover_spawn::process::{Signal, signal_named};
use drover_spawn::{RunState, Started};
use drover_types::kinds::assignment::Assignment;
use drover_types::kinds::timer::TimerSpec;
use drover_wire::{Desired, PoolSettings, Report};
use drover_world::{Disk, World};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::host::{Host, Watch};
use crate::journal::Journal;
use crate::launch::{self, LaunchError};
use crate::ledger::{Change, Claim, Memory, Stage};
use crate::materials::Materials;

/// Messages that may wait for the loop.
const QUEUE: usize = 1024;
/// Reports under way at once.
const MAX_IN_FLIGHT: usize = 8;
/// Items in one report; each is a few KiB, and a frame is 1 MiB.
const MAX_REPORTED: usize = 64;
const MAX_DESIRED: u64 = 128 << 20;

/// Why the agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The journal, or a file beside it.
    #[error("the agent's data directory cannot be used")]
    Disk(#[from] io::Error),
    /// Run directories or processes.
    #[error("a run cannot be looked at")]
    Host(#[source] io::Error),
    /// The loop is over.
    #[error("the agent has stopped")]
    Stopped,
}

/// What the loop is told.
enum Message {
    Desired(Box<Desired>, oneshot::Sender<Result<(), AgentError>>),
    Reports(oneshot::Sender<Vec<Report>>),
    Acknowledged(u64, u64),
    Look(String),
    Buried(String, Box<RunState>, bool),
}

/// Talks to a running agent. Cheap to clone.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Message>);

impl Handle {
    /// Gives the agent a desired state; it is on disk when this returns.
    pub async fn desired(&self, desired: Desired) -> Result<(), AgentError> {
        let (answer, done) = oneshot::channel();
        let message = Message::Desired(Box::new(desired), answer);
        self.0.send(message).await.map_err(|_| AgentError::Stopped)?;
        done.await.map_err(|_| AgentError::Stopped)?
    }

    /// All reports that are not acknowledged, oldest first, at most a few.
    pub async fn reports(&self) -> Result<Vec<Report>, AgentError> {
        let (answer, done) = oneshot::channel();
        self.0.send(Message::Reports(answer)).await.map_err(|_| AgentError::Stopped)?;
        done.await.map_err(|_| AgentError::Stopped)
    }

    /// Reports up to this one are stored elsewhere; the agent forgets them.
    pub async fn acknowledged(&self, agent_epoch: u64, sequence: u64) -> Result<(), AgentError> {
        let message = Message::Acknowledged(agent_epoch, sequence);
        self.0.send(message).await.map_err(|_| AgentError::Stopped)
    }
}

/// Desired state as it is on disk.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    revision: u64,
    assignments: Vec<Assignment>,
    pool: PoolSettings,
}

/// A timer, armed.
pub(crate) struct Armed {
    pub(crate) spec: TimerSpec,
    pub(crate) schedule: Schedule,
    pub(crate) anchor: Anchor,
    pub(crate) next: Option<Timestamp>,
}

/// A replica that does not run, or did not.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) history: Replica,
    pub(crate) start_at: Duration,
    pub(crate) stays_down: bool,
}

/// One node's agent.
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) world: World,
    disk: Arc<dyn Disk>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) journal: Journal,
    materials: Materials,
    revision: u64,
    pub(crate) desired: BTreeMap<String, Assignment>,
    pool: PoolSettings,
    pub(crate) timers: BTreeMap<String, Armed>,
    pub(crate) replicas: BTreeMap<(String, u32), Slot>,
    pub(crate) admission: Admission,
    pub(crate) live: BTreeMap<String, (Live, Started)>,
    /// Given to a keeper by this start of the agent.
    pub(crate) spawned: BTreeSet<String>,
    pub(crate) to_spawn: BTreeSet<String>,
    buried: BTreeSet<String>,
    touched: BTreeSet<String>,
    /// What keeps an Assignment from being done: reason and message.
    pub(crate) problems: BTreeMap<String, (String, String)>,
    sender: mpsc::Sender<Message>,
    receiver: mpsc::Receiver<Message>,
}

impl Agent {
    /// Opens the data directory and finds again what runs. Nothing is started before [`Agent::run`].
    pub fn open(
        config: Config,
        world: World,
        disk: Arc<dyn Disk>,
        host: Arc<dyn Host>,
    ) -> Result<(Self, Handle), AgentError> {
        disk.create_dir(&config.data_dir, 0o700)?;
        disk.create_dir(&config.data_dir.join("runs"), 0o700)?;
        let journal = Journal::open(Arc::clone(&disk), &config.data_dir)?;
        let materials = Materials::open(Arc::clone(&disk), world.clone(), &config.data_dir)?;
        let stored = match disk.read(&config.data_dir.join("desired.json"), MAX_DESIRED) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(error) => return Err(error.into()),
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let handle = Handle(sender.clone());
        let mut agent = Self {
            config,
            world,
            disk,
            host,
            journal,
            materials,
            revision: stored.revision,
            desired: stored.assignments.into_iter().map(|a| (a.metadata.uid.clone(), a)).collect(),
            pool: stored.pool,
            timers: BTreeMap::new(),
            replicas: BTreeMap::new(),
            admission: Admission::default(),
            live: BTreeMap::new(),
            spawned: BTreeSet::new(),
            to_spawn: BTreeSet::new(),
            buried: BTreeSet::new(),
            touched: BTreeSet::new(),
            problems: BTreeMap::new(),
            sender,
            receiver,
        };
        let claims: Vec<Claim> = agent.journal.ledger().claims.values().cloned().collect();
        for claim in claims.iter().filter(|claim| claim.stage == Stage::Admitted) {
            let needs = agent.needs(claim);
            agent.admission.adopt(&claim.run_uid, needs);
            agent.touched.insert(claim.run_uid.clone());
        }
        Ok((agent, handle))
    }

    /// Runs until `shutdown` resolves. Processes go on; the next start finds them.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
        tokio::pin!(shutdown);
        for run_uid in self.touched.clone() {
            self.watch_again(&run_uid);
        }
        loop {
            let now = self.now();
            let wake = match self.step(now) {
                Ok(wake) => wake,
                Err(error) => {
                    // A full disk may have room again; what runs goes on meanwhile.
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a step failed; it is tried again"
                    );
                    now.boottime + Duration::from_secs(5)
                }
            };
            let wait = wake.saturating_sub(self.now().boottime);
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = tokio::time::sleep(wait) => {}
                message = self.receiver.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    self.receive(message)?;
                    while let Ok(message) = self.receiver.try_recv() {
                        self.receive(message)?;
                    }
                }
            }
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.world.clock.now(), boottime: self.world.clock.boottime() }
    }

    pub(crate) fn run_dir(&self, run_uid: &str) -> PathBuf {
        self.config.data_dir.join("runs").join(run_uid)
    }

    fn receive(&mut self, message: Message) -> Result<(), AgentError> {
        match message {
            Message::Desired(desired, answer) => {
                let _ = answer.send(self.take_over(*desired));
            }
            Message::Reports(answer) => {
                let ledger = self.journal.ledger();
                if ledger.in_flight.len() < MAX_IN_FLIGHT && !ledger.pending.is_empty() {
                    self.journal.stage(Change::Number(MAX_REPORTED))?;
                }
                // Numbered on disk before anybody sees the number.
                let flushed = self.journal.flush().is_ok();
                let reports = if flushed {
                    self.journal.ledger().in_flight.iter().cloned().collect()
                } else {
                    Vec::new()
                };
                let _ = answer.send(reports);
            }
            Message::Acknowledged(epoch, sequence) => {
                self.journal.stage(Change::Acknowledged(epoch, sequence))?
            }
            Message::Look(run_uid) => {
                self.touched.insert(run_uid.clone());
                self.watch_again(&run_uid);
            }
            Message::Buried(run_uid, state, whole) => {
                self.buried.remove(&run_uid);
                if !whole {
                    // Something of it cannot be killed yet; nothing takes its place.
                    self.bury(&run_uid, *state);
                } else if let Some(claim) = self.journal.ledger().claims.get(&run_uid).cloned() {
                    let now = self.now();
                    self.ended(&claim, &state, Ended::KeeperDied, now)?;
                }
            }
        }
        Ok(())
    }

    fn take_over(&mut self, desired: Desired) -> Result<(), AgentError> {
        // Values go first: an Assignment is never there without them.
        self.materials.update(desired.full, desired.materials, &desired.dropped_materials)?;
        let mut next = if desired.full { BTreeMap::new() } else { self.desired.clone() };
        for uid in &desired.removed {
            next.remove(uid);
        }
        for value in desired.assignments {
            let assignment: Assignment = serde_json::from_value(value).map_err(io::Error::from)?;
            next.insert(assignment.metadata.uid.clone(), assignment);
        }
        let stored = Stored {
            revision: desired.revision,
            assignments: next.values().cloned().collect(),
            pool: desired.pool.unwrap_or_else(|| self.pool.clone()),
        };
        let bytes = serde_json::to_vec(&stored).map_err(io::Error::from)?;
        self.disk.write_atomic(&self.config.data_dir.join("desired.json"), &bytes, 0o600)?;
        self.revision = stored.revision;
        self.pool = stored.pool;
        self.desired = next;
        self.problems.clear();
        Ok(())
    }

    /// One round of everything; the boot time at which the next is due.
    fn step(&mut self, now: Now) -> Result<Duration, AgentError> {
        let mut wake = now.boottime + Duration::from_secs(60);
        for run_uid in std::mem::take(&mut self.touched) {
            if !self.buried.contains(&run_uid) {
                self.look_at(&run_uid, now)?;
            }
        }
        let busy: BTreeSet<String> =
            self.journal.ledger().claims.values().map(|c| c.assignment_uid.clone()).collect();
        for uid in &busy {
            if !self.desired.contains_key(uid) {
                self.timers.remove(uid);
                self.stop_all(uid, StopCause::Removed, now)?;
            }
        }
        self.forget(&busy)?;
        for uid in self.desired.keys().cloned().collect::<Vec<_>>() {
            if let Some(at) = self.plan(&uid, now)? {
                wake = wake.min(at);
            }
        }
        wake = wake.min(self.advance(now)?);
        // From here on everything decided is on disk.
        self.journal.flush()?;
        for run_uid in std::mem::take(&mut self.to_spawn) {
            self.launch(&run_uid, now)?;
        }
        wake = wake.min(self.steer(now)?);
        self.journal.flush()?;
        if !self.touched.is_empty() {
            wake = now.boottime;
        }
        Ok(wake)
    }

    /// Moves claims on: queued to waiting, due retries to waiting, admitted ones to their keepers.
    fn advance(&mut self, now: Now) -> Result<Duration, AgentError> {
        let mut wake = Duration::MAX;
        let mut claims: Vec<Claim> = self.journal.ledger().claims.values().cloned().collect();
        // A run uid begins with its time; where several were made at once, their ticks decide.
        claims.sort_by(|a, b| (a.claimed_at, &a.cause).cmp(&(b.claimed_at, &b.cause)));
        let mut occupied: BTreeSet<String> =
            claims.iter().filter(|c| c.stage != Stage::Queued).map(|c| c.assignment_uid.clone()).collect();
        for mut claim in claims {
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
                    let needs = self.needs(&claim);
                    if !self.admission.ask(&claim.run_uid, needs) {
                        self.skip(&claim, "TooManyWaiting", "10000 executions wait on this node already")?;
                    }
                    continue;
                }
                Stage::Queued | Stage::Admitted => continue,
            }
            claim.stage = Stage::Waiting;
            let needs = self.needs(&claim);
            self.admission.ask(&claim.run_uid, needs);
            self.journal.stage(Change::Claim(Box::new(claim)))?;
        }
        for run_uid in self.admission.admit(&self.pool.lanes) {
            let Some(mut claim) = self.journal.ledger().claims.get(&run_uid).cloned() else { continue };
            claim.stage = Stage::Admitted;
            self.journal.stage(Change::Claim(Box::new(claim)))?;
            self.to_spawn.insert(run_uid);
        }
        Ok(wake)
    }

    fn launch(&mut self, run_uid: &str, now: Now) -> Result<(), AgentError> {
        let Some(claim) = self.journal.ledger().claims.get(run_uid).cloned() else { return Ok(()) };
        let spec = match launch::run_spec(&claim, &self.config.node_name, &self.materials) {
            Ok(spec) => spec,
            Err(error @ LaunchError::ConfigMissing(_)) => {
                self.problems
                    .insert(claim.assignment_uid.clone(), ("ConfigMissing".into(), error.to_string()));
                return self.skip(&claim, "ConfigMissing", &error.to_string());
            }
            Err(error) => {
                let at = drover_spawn::Clocks::now();
                let failed = drover_spawn::state::FailedToStart { reason: error.to_string(), at };
                return self.ended(&claim, &RunState::FailedToStart(failed), Ended::NotStarted, now);
            }
        };
        let dir = self.run_dir(run_uid);
        self.disk.create_dir(&dir, 0o700)?;
        match self.host.start(&dir, &spec) {
            Ok(watches) => {
                self.spawned.insert(run_uid.to_owned());
                for watch in watches {
                    self.notify(run_uid, watch);
                }
            }
            // It was started after all, by an agent that did not live to see it.
            Err(drover_spawn::SpawnError::KeeperAlive | drover_spawn::SpawnError::AlreadyRan(_)) => {
                self.touched.insert(run_uid.to_owned());
                self.watch_again(run_uid);
            }
            Err(error) => {
                let at = drover_spawn::Clocks::now();
                let reason = format!(
                    "{error}: {}",
                    std::error::Error::source(&error).map_or_else(String::new, ToString::to_string)
                );
                let failed = drover_spawn::state::FailedToStart { reason, at };
                self.ended(&claim, &RunState::FailedToStart(failed), Ended::NotStarted, now)?;
            }
        }
        Ok(())
    }

    /// Timeouts and terminations of what lives.
    fn steer(&mut self, now: Now) -> Result<Duration, AgentError> {
        let mut wake = Duration::MAX;
        for run_uid in self.live.keys().cloned().collect::<Vec<_>>() {
            let Some(mut claim) = self.journal.ledger().claims.get(&run_uid).cloned() else { continue };
            let Some((live, started)) = self.live.get_mut(&run_uid) else { continue };
            if let Some(cause) = claim.stop {
                live.stop(cause, now);
            }
            match live.step(&Rules::of(&claim.template), now) {
                Step::Wait(at) => wake = wake.min(at.unwrap_or(Duration::MAX)),
                Step::Terminate(cause) => {
                    let name = claim.template.process.termination_signal.as_deref().unwrap_or("SIGTERM");
                    let signal = signal_named(name).unwrap_or(Signal::TERM);
                    let started = started.clone();
                    // The cause is on disk before the signal: a crash in between must not make a timeout a failure.
                    claim.stop = Some(cause);
                    self.journal.stage(Change::Claim(Box::new(claim)))?;
                    self.journal.flush()?;
                    self.host.signal(&started, signal).map_err(AgentError::Host)?;
                    wake = now.boottime;
                }
                Step::Kill => {
                    let started = started.clone();
                    self.host.signal(&started, Signal::KILL).map_err(AgentError::Host)?;
                }
            }
        }
        Ok(wake)
    }

    /// Ends every execution of an Assignment.
    pub(crate) fn stop_all(&mut self, uid: &str, cause: StopCause, now: Now) -> Result<(), AgentError> {
        for claim in self.claims_of(uid) {
            self.stop(&claim, cause, now)?;
        }
        Ok(())
    }

    /// Ends an execution, or gives it up if it has not started.
    pub(crate) fn stop(&mut self, claim: &Claim, cause: StopCause, _now: Now) -> Result<(), AgentError> {
        if claim.stage != Stage::Admitted {
            return self.skip(claim, cause.reason(), "it was not wanted any more before it started");
        }
        if claim.stop.is_none() {
            self.journal.stage(Change::Claim(Box::new(Claim { stop: Some(cause), ..claim.clone() })))?;
        }
        Ok(())
    }

    /// Kills what is left of a run whose keeper was killed, off this thread.
    pub(crate) fn bury(&mut self, run_uid: &str, state: RunState) {
        if !self.buried.insert(run_uid.to_owned()) {
            return;
        }
        let (host, sender, run_uid) = (Arc::clone(&self.host), self.sender.clone(), run_uid.to_owned());
        tokio::task::spawn_blocking(move || {
            let whole = host.end(&run_uid, &state).unwrap_or(false);
            // Nobody listens: then the next start of the agent does it.
            let _ = sender.blocking_send(Message::Buried(run_uid, Box::new(state), whole));
        });
    }

    fn watch_again(&mut self, run_uid: &str) {
        let dir = self.run_dir(run_uid);
        let alive = self.host.look(&dir).is_ok_and(|look| look.alive);
        if alive
            && !self.spawned.contains(run_uid)
            && let Ok(watch) = self.host.watch(&dir)
        {
            self.notify(run_uid, watch);
        }
    }

    fn notify(&self, run_uid: &str, watch: Watch) {
        let (sender, run_uid) = (self.sender.clone(), run_uid.to_owned());
        tokio::spawn(async move {
            watch.await;
            let _ = sender.send(Message::Look(run_uid)).await;
        });
    }

    /// Drops what is remembered of Assignments that are gone and have nothing running.
    fn forget(&mut self, busy: &BTreeSet<String>) -> Result<(), AgentError> {
        let gone: Vec<String> = self.journal.ledger().memories.keys().cloned().collect();
        for uid in gone.into_iter().filter(|uid| !self.desired.contains_key(uid) && !busy.contains(uid)) {
            for (run_uid, _) in self.memory(&uid).finished {
                self.disk.remove_tree(&self.run_dir(&run_uid))?;
            }
            self.replicas.retain(|(of, _), _| *of != uid);
            self.journal.stage(Change::Forget(uid))?;
        }
        Ok(())
    }

    /// Lets go of the output of runs beyond the history limits.
    pub(crate) fn trim_history(&mut self, uid: &str, memory: &mut Memory) {
        let timer = self.desired.get(uid).and_then(|assignment| assignment.spec.timer.as_ref());
        let limit = |success| {
            let given = timer.and_then(|t| {
                if success { t.successful_runs_history_limit } else { t.failed_runs_history_limit }
            });
            given.map_or(3, |n| n as usize)
        };
        for success in [true, false] {
            let mut over =
                memory.finished.iter().filter(|(_, s)| *s == success).count().saturating_sub(limit(success));
            let mut dropped = Vec::new();
            memory.finished.retain(|(run_uid, s)| {
                if *s == success && over > 0 {
                    over -= 1;
                    dropped.push(run_uid.clone());
                    return false;
                }
                true
            });
            for run_uid in dropped {
                self.remove_dir(&run_uid);
            }
        }
    }

    fn remove_dir(&self, run_uid: &str) {
        let dir: &Path = &self.run_dir(run_uid);
        if let Err(error) = self.disk.remove_tree(dir) {
            tracing::warn!(dir = %dir.display(), %error, "a finished run's directory stays");
        }
    }
}

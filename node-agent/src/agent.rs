//! The agent's loop: look, decide, journal, sync, act.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drover_mutants::{Mutant, active};
use drover_plan::node::admission::Admission;
use drover_plan::node::run::Live;
use drover_plan::node::schedule::{Anchor, Schedule, was_set};
use drover_plan::node::{Now, service::Replica};
use drover_spawn::Started;
use drover_wire::PoolSettings;
use drover_world::{Disk, World};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use crate::agenda::Agenda;
use crate::config::Config;
use crate::handle::{self, AgentError, Handle, Message};
use crate::host::Host;
use crate::journal::Journal;
use crate::ledger::{Change, Claim, Stage};
use crate::materials::Materials;
use crate::shelf::Shelf;
use crate::status::Said;

/// The longest sleep: a periodic look at everything due, should a bell ever be missed.
const SWEEP: Duration = Duration::from_secs(60);
/// The wall may be set while a timer sleeps towards a time of day: the clocks are compared again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Assignments that are planned in one step because something about them changed. What is due comes on top.
const PLANNED: usize = 256;
/// What has nothing to do for so long is kept on disk only.
const REST: Duration = Duration::from_secs(10);
/// How soon what the disk or the host refused is tried again.
pub(crate) const RETRY: Duration = Duration::from_secs(5);

/// When an Assignment is to be planned again although nothing changes: at a boot time, at a time of the wall's clock, or
/// whichever comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Next {
    pub(crate) boot: Option<Duration>,
    pub(crate) wall: Option<Timestamp>,
}

/// The boot time at which to look whether the wall's clock has come to a time.
fn wake_for(at: Timestamp, now: Now) -> Duration {
    let ahead = Duration::try_from(at.duration_since(now.wall)).unwrap_or_default();
    now.boottime + ahead.min(LOOK_AGAIN)
}

/// Sleeps. Where there is nothing to wait for, what else is on this thread has a turn all the same.
async fn pause(wait: Duration) {
    if wait.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(wait).await;
    }
}

/// A timer, armed.
pub(crate) struct Armed {
    /// By which spec: its mark.
    pub(crate) by: u64,
    /// Absent while the Assignment is on disk only; made again of it.
    pub(crate) schedule: Option<Box<Schedule>>,
    pub(crate) anchor: Anchor,
    /// When it was looked at last, since the agent's start.
    pub(crate) looked: Option<Now>,
    pub(crate) next: Option<Timestamp>,
}

/// A replica that does not run, or did not.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) history: Replica,
    pub(crate) start_at: Duration,
    /// The generation of the workload that it failed of.
    pub(crate) generation: i64,
}

/// One node's agent.
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) world: World,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) journal: Journal,
    pub(crate) materials: Materials,
    /// Revision and store epoch of `desired`.
    pub(crate) revision: Option<u64>,
    pub(crate) store_epoch: Option<String>,
    pub(crate) desired: Shelf,
    pub(crate) pool: PoolSettings,
    pub(crate) timers: BTreeMap<Arc<str>, Box<Armed>>,
    pub(crate) replicas: BTreeMap<(String, u32), Slot>,
    pub(crate) admission: Admission,
    pub(crate) live: BTreeMap<String, (Live, Started)>,
    /// Given to a keeper by this start of the agent.
    pub(crate) spawned: BTreeSet<String>,
    pub(crate) to_spawn: BTreeSet<String>,
    /// Runs whose tree is being killed.
    pub(crate) buried: BTreeSet<String>,
    /// Runs whose directories are of no more use.
    pub(crate) needless: Vec<String>,
    /// Runs to be looked at.
    pub(crate) touched: BTreeSet<String>,
    /// Assignments to be planned, because something about them changed.
    pub(crate) dirty: BTreeSet<String>,
    /// Assignments whose status may be another than was said.
    pub(crate) changed: BTreeSet<String>,
    /// When each Assignment is to be planned again although nothing changes, in boot time and by the wall's clock.
    pub(crate) agenda: Agenda<Duration>,
    pub(crate) by_wall: Agenda<Timestamp>,
    /// Both clocks, when it was last found that the wall's had been set, or at the start.
    pub(crate) clocks: Option<Now>,
    /// Assignments that are planned in a later step: too many had changed.
    pub(crate) unplanned: BTreeSet<String>,
    /// What keeps an Assignment from being done: reason and message.
    pub(crate) problems: BTreeMap<String, (String, String)>,
    /// What was last said of each Assignment.
    pub(crate) said: BTreeMap<Arc<str>, Said>,
    /// Runs that are known to the server as waiting.
    pub(crate) told: BTreeSet<String>,
    /// Assignments reported as ended by this start of the agent.
    pub(crate) ended: BTreeSet<String>,
    /// Dropped reports that an event told of.
    pub(crate) dropped: u64,
    /// Since when the journal cannot be written.
    pub(crate) unwritable: Option<Timestamp>,
    /// Whether there has been a session: then reports are numbered as they are made.
    pub(crate) welcomed: bool,
    /// When the server last heard of this node, in this boot.
    pub(crate) heard: Option<Duration>,
    /// Whether what is desired is not known, as what was stored of it cannot be read. Then nothing is started and nothing
    /// is ended until the server has sent all of it; what runs is supervised.
    pub(crate) lost: bool,
    pub(crate) bell: Arc<Notify>,
    pub(crate) sender: mpsc::Sender<Message>,
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
        let (desired, lost) =
            Shelf::open(Arc::clone(&disk), &config.data_dir, journal.ledger().memories.is_empty());
        let head = desired.head().clone();
        // What was stored for another Node is done until its own state arrives, which replaces it. And the server sends
        // values again only to who has nothing.
        let (revision, store_epoch) = if head.node_uid != config.node_uid || materials.is_lost() {
            (None, None)
        } else {
            (head.revision, head.store_epoch)
        };
        let (handle, sender, receiver, bell) = handle::channel();
        let ledger = journal.ledger();
        let heard = ledger.heard.as_ref().filter(|heard| heard.boot_id == config.boot_id);
        let heard = heard.map(|heard| Duration::from_millis(heard.at_ms));
        let dropped = ledger.dropped;
        let mut agent = Self {
            revision,
            store_epoch,
            desired,
            pool: head.pool,
            config,
            world,
            disk,
            host,
            journal,
            materials,
            timers: BTreeMap::new(),
            replicas: BTreeMap::new(),
            admission: Admission::default(),
            live: BTreeMap::new(),
            spawned: BTreeSet::new(),
            to_spawn: BTreeSet::new(),
            buried: BTreeSet::new(),
            needless: Vec::new(),
            touched: BTreeSet::new(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            agenda: Agenda::default(),
            by_wall: Agenda::default(),
            clocks: None,
            unplanned: BTreeSet::new(),
            problems: BTreeMap::new(),
            said: BTreeMap::new(),
            told: BTreeSet::new(),
            ended: BTreeSet::new(),
            dropped,
            unwritable: None,
            welcomed: false,
            heard,
            lost: lost.is_some(),
            bell,
            sender,
            receiver,
        };
        agent.cross();
        agent.adopt();
        if let Some(why) = lost {
            agent.tell_lost(&why);
        }
        Ok((agent, handle))
    }

    /// Every Assignment that is desired, remembered or has executions.
    pub(crate) fn known(&self) -> BTreeSet<String> {
        let ledger = self.journal.ledger();
        let remembered = ledger.memories.uids().chain(ledger.busy().map(String::as_str));
        self.desired.uids().map(|uid| &**uid).chain(remembered).map(str::to_owned).collect()
    }

    /// Takes note of all that was claimed or remembered by starts of the agent before this one.
    fn adopt(&mut self) {
        self.dirty = self.known();
        self.changed = self.dirty.clone();
        let ledger = self.journal.ledger();
        let claims: Vec<Claim> =
            ledger.claims.values().filter(|claim| claim.stage == Stage::Admitted).cloned().collect();
        for claim in claims {
            let needs = self.needs(&claim);
            self.admission.adopt(&claim.run_uid, needs);
            if !active(Mutant::ForgottenClaims) {
                self.touched.insert(claim.run_uid);
            }
        }
    }

    /// Runs until `shutdown` resolves. Processes go on; the next start finds them.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
        tokio::pin!(shutdown);
        self.sweep_runs();
        for run_uid in self.touched.clone() {
            self.watch_again(&run_uid);
        }
        loop {
            let now = self.now();
            let wake = self.step(now);
            // What this step has woken waits on this thread, where no other one takes it over.
            tokio::task::yield_now().await;
            let wait = wake.saturating_sub(self.now().boottime);
            tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                message = self.receiver.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    self.receive(message);
                    while let Ok(message) = self.receiver.try_recv() {
                        self.receive(message);
                    }
                }
                () = pause(wait) => {}
            }
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.world.clock.now(), boottime: self.world.clock.boottime() }
    }

    pub(crate) fn runs_dir(&self) -> PathBuf {
        self.config.data_dir.join("runs")
    }

    pub(crate) fn run_dir(&self, run_uid: &str) -> PathBuf {
        self.runs_dir().join(run_uid)
    }

    /// Changes the ledger, and has the Assignment that it is about planned again. Nothing may be done because of it
    /// before [`Agent::flush`].
    pub(crate) fn stage(&mut self, change: Change) {
        self.dirty.extend(self.about(&change));
        self.stage_quietly(change);
    }

    /// Changes the ledger in a way that asks for no other decision.
    pub(crate) fn stage_quietly(&mut self, change: Change) {
        self.changed.extend(self.about(&change));
        if let Err(error) = self.journal.stage(change) {
            // These types have nothing that JSON cannot hold.
            tracing::error!(%error, "a change of the ledger cannot be written down");
        }
    }

    fn about(&self, change: &Change) -> Option<String> {
        match change {
            Change::Claim(claim) => Some(claim.assignment_uid.clone()),
            Change::Release(run_uid) => {
                self.journal.ledger().claims.get(run_uid).map(|claim| claim.assignment_uid.clone())
            }
            Change::Remember(uid, _) => Some(uid.clone()),
            Change::Start
            | Change::Whole(_)
            | Change::Forget(_)
            | Change::Report(..)
            | Change::Number(_)
            | Change::Renumber(_)
            | Change::Acknowledged(..)
            | Change::Heard(_)
            | Change::Inherit(_)
            | Change::Epoch(_) => None,
        }
    }

    /// Makes what was staged durable; false when the disk does not take it. It is tried again with the next step.
    pub(crate) fn flush(&mut self) -> bool {
        match self.journal.flush() {
            Ok(()) => true,
            Err(error) => {
                if self.unwritable.is_none() {
                    tracing::error!(%error, "the journal cannot be written; nothing new starts until it can");
                    // Also one that is over by the next step is told of.
                    self.unwritable = Some(self.world.clock.now());
                }
                false
            }
        }
    }

    /// One round of everything; the boot time at which the next is due.
    fn step(&mut self, now: Now) -> Duration {
        let mut wake = now.boottime + SWEEP;
        let writable = self.flush();
        if writable {
            self.tell_unwritable(now.wall);
        }
        self.look(now);
        if writable {
            wake = wake.min(self.plan_due(now)).min(self.advance(now));
        } else {
            // What could not be written down is not decided: it would only pile up. What runs is supervised.
            wake = wake.min(now.boottime + RETRY);
        }
        // Keepers get ready while what was decided goes to disk.
        let ready = if writable { self.get_ready(now) } else { Vec::new() };
        if active(Mutant::StartedBeforeClaimed) || self.flush() {
            // From here on everything decided is on disk.
            let taken = self.launch(ready, now) && !self.lost;
            if !self.to_spawn.is_empty() {
                wake = wake.min(if taken { now.boottime } else { now.boottime + RETRY });
            }
        } else {
            self.to_spawn.extend(ready.into_iter().map(|(claim, _)| claim.run_uid));
        }
        wake = wake.min(self.steer(now));
        if writable {
            wake = wake.min(self.tell(now));
        }
        let news = self.has_reports();
        if self.welcomed {
            // With what is written anyway: no sync of its own.
            self.number();
        }
        self.rest(now);
        if !self.flush() {
            return wake.min(now.boottime + RETRY);
        }
        if news && !active(Mutant::LostBell) {
            self.bell.notify_one();
        }
        self.clear_away();
        if self.touched.is_empty() && self.dirty.is_empty() { wake } else { now.boottime }
    }

    fn look(&mut self, now: Now) {
        for run_uid in std::mem::take(&mut self.touched) {
            if self.buried.contains(&run_uid) {
                continue;
            }
            if let Err(error) = self.look_at(&run_uid, now) {
                tracing::error!(
                    run = run_uid,
                    error = &error as &dyn std::error::Error,
                    "a run hides from us"
                );
                self.notify(&run_uid, Box::pin(tokio::time::sleep(RETRY)));
            }
        }
    }

    /// Plans what changed and what is due; when the next one is.
    fn plan_due(&mut self, now: Now) -> Duration {
        self.compare_clocks(now);
        let mut due = std::mem::take(&mut self.dirty);
        // Between two rounds the loop hears what else there is.
        let later = due.iter().nth(PLANNED).cloned();
        self.unplanned = later.map(|first| due.split_off(&first)).unwrap_or_default();
        due.extend(self.agenda.due(now.boottime).chain(self.by_wall.due(now.wall)).map(str::to_owned));
        for uid in due {
            let next = match self.desired.wake(&uid) {
                Ok(Some(assignment)) => self.plan(&assignment, now),
                Ok(None) => {
                    if !self.lost {
                        self.leave(&uid, now);
                    }
                    Next::default()
                }
                Err(error) => {
                    self.unread(&uid, &error);
                    Next { boot: Some(now.boottime + RETRY), wall: None }
                }
            };
            let key = self.desired.key(&uid);
            self.agenda.set(&key, next.boot);
            self.by_wall.set(&key, next.wall);
            // What planning itself staged needs no second look.
            self.dirty.remove(&uid);
            self.unplanned.remove(&uid);
        }
        self.dirty.extend(self.unplanned.iter().cloned());
        let boot = self.agenda.first().unwrap_or(Duration::MAX);
        self.by_wall.first().map_or(boot, |first| boot.min(wake_for(first, now)))
    }

    /// Has all that goes by the wall's clock planned again when that was set: its ticks are at other times now, and what
    /// was leapt over is not to be taken for missed.
    fn compare_clocks(&mut self, now: Now) {
        match self.clocks {
            Some(before) if !was_set(before, now) => {}
            before => {
                self.clocks = Some(now);
                if before.is_some() {
                    self.dirty.extend(self.by_wall.uids().map(str::to_owned));
                }
            }
        }
    }

    /// An Assignment cannot be read from the disk now. What runs of it goes on, it is tried again, and the server is asked
    /// for everything with the next session.
    pub(crate) fn unread(&mut self, uid: &str, error: &io::Error) {
        tracing::error!(uid, %error, "an Assignment cannot be read from the node's disk; it is tried again");
        self.revision = None;
    }

    /// Keeps on disk only what was at work and has nothing to do for a while.
    fn rest(&mut self, now: Now) {
        for uid in self.desired.take_woken() {
            let soon = self.agenda.get(&uid).is_some_and(|at| at <= now.boottime + REST)
                || self.by_wall.get(&uid).is_some_and(|at| wake_for(at, now) <= now.boottime + REST);
            let busy = self.dirty.contains(&*uid)
                || self.changed.contains(&*uid)
                || self.journal.ledger().claims_of(&uid).next().is_some();
            if !soon && !busy {
                self.desired.rest(&uid);
                if let Some(armed) = self.timers.get_mut(&uid) {
                    armed.schedule = None;
                }
            }
        }
    }

    /// Ends and removes what no Assignment accounts for: directories of runs that the journal does not know.
    fn sweep_runs(&self) {
        let runs = self.runs_dir();
        let entries = match self.disk.list(&runs) {
            Ok(entries) => entries,
            Err(error) => return tracing::warn!(%error, "the directory of runs cannot be listed"),
        };
        let ledger = self.journal.ledger();
        let kept: BTreeSet<&str> = ledger.memories.finished().collect();
        let names = entries.into_iter().filter(|entry| entry.is_dir);
        let unknown: Vec<String> = names
            .filter_map(|entry| entry.name.into_string().ok())
            .filter(|uid| !ledger.claims.contains_key(uid) && !kept.contains(uid.as_str()))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let (host, disk) = (Arc::clone(&self.host), Arc::clone(&self.disk));
        self.world.blocking.begin(Box::new(move || {
            for uid in unknown {
                let dir = runs.join(&uid);
                let gone = host.look(&dir).and_then(|look| host.end(&uid, &look.state));
                let removed = gone.and_then(|gone| {
                    if gone { disk.remove_tree(&dir) } else { Err(io::Error::other("its processes stay")) }
                });
                if let Err(error) = removed {
                    tracing::warn!(run = uid, %error, "a run that nothing accounts for stays");
                }
            }
        }));
    }
}

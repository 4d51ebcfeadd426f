//! All processes of one host, and what happens to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drover_node_agent::{Look, Watch};
use drover_spawn::process::Signal;
use drover_spawn::segments::Record;
use drover_spawn::state::{self, STATE_FILE};
use drover_spawn::{Outcome, ProcessId, RunSpec, RunState, SpawnError, Started};
use drover_world::{Clock, Disk};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::behaviour::Behaviour;
use super::keeper::{self, Keeping};
use crate::clock::SimClock;
use crate::history::History;
use crate::seed::Seed;
use crate::step::{Event, Part, Process};

/// The longest state file.
const STATE_BYTES: u64 = 64 << 10;

/// A keeper that lives.
pub(super) struct Keeper {
    pub(super) run_uid: String,
    pub(super) id: ProcessId,
    pub(super) ended: CancellationToken,
    pub(super) signals: mpsc::UnboundedSender<Signal>,
    task: JoinHandle<()>,
}

pub(super) struct Inner {
    node: usize,
    boot: u32,
    pids: i32,
    pub(super) keepers: BTreeMap<PathBuf, Keeper>,
    /// Processes that live, by the uid of their run, also those whose keeper is gone.
    pub(super) children: BTreeMap<String, (ProcessId, Process)>,
    pub(super) output: BTreeMap<PathBuf, Vec<Record>>,
}

/// A keeper that waits for the word to go on. Dropped, with its agent or by it, it ends.
pub(super) struct SimReady {
    go: oneshot::Sender<()>,
    started: CancellationToken,
    ended: CancellationToken,
}

impl SimReady {
    pub(super) fn go(self) -> Vec<Watch> {
        let Self { go, started, ended } = self;
        // Nobody hears it where the keeper was killed meanwhile; its watches say so.
        let _ = go.send(());
        let either = ended.clone();
        vec![
            Box::pin(async move {
                tokio::select! {
                    biased;
                    () = started.cancelled() => {}
                    () = either.cancelled() => {}
                }
            }),
            Box::pin(async move { ended.cancelled().await }),
        ]
    }
}

/// A simulated host. Cheap to clone.
#[derive(Clone)]
pub struct SimHost {
    pub(super) seed: Seed,
    pub(super) clock: SimClock,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) history: History,
    inner: Arc<Mutex<Inner>>,
}

impl SimHost {
    /// Host number `node`, just booted.
    pub fn new(node: usize, seed: Seed, clock: SimClock, disk: Arc<dyn Disk>, history: History) -> Self {
        let inner = Inner {
            node,
            boot: 1,
            pids: 100,
            keepers: BTreeMap::new(),
            children: BTreeMap::new(),
            output: BTreeMap::new(),
        };
        Self { seed, clock, disk, history, inner: Arc::new(Mutex::new(inner)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number.
    pub fn node(&self) -> usize {
        self.lock().node
    }

    /// Which boot this is.
    pub fn boot_id(&self) -> String {
        let inner = self.lock();
        format!("00000000-0000-4000-8000-{:06x}{:06x}", inner.node, inner.boot)
    }

    pub(super) fn part(&self) -> Part {
        Part::Node(self.node())
    }

    /// All processes are gone, with nobody left to see how; another boot.
    pub fn crash(&self) {
        let (children, keepers) = {
            let mut inner = self.lock();
            inner.boot += 1;
            (std::mem::take(&mut inner.children), std::mem::take(&mut inner.keepers))
        };
        for keeper in keepers.into_values() {
            keeper.task.abort();
        }
        for (_, process) in children.into_values() {
            self.history.step(self.part(), Event::Gone(process, "its host crashed"));
        }
    }

    /// Kills one keeper, and leaves its process alone; false if there are not so many.
    pub fn kill_keeper(&self, which: u64) -> bool {
        let mut inner = self.lock();
        let count = inner.keepers.len() as u64;
        if count == 0 {
            return false;
        }
        let at = usize::try_from(which % count).unwrap_or(0);
        let Some(dir) = inner.keepers.keys().nth(at).cloned() else { return false };
        let Some(keeper) = inner.keepers.remove(&dir) else { return false };
        keeper.task.abort();
        keeper.ended.cancel();
        true
    }

    pub(super) fn ready(&self, run_dir: &Path, spec: RunSpec) -> Result<SimReady, SpawnError> {
        if self.lock().keepers.contains_key(run_dir) {
            return Err(SpawnError::KeeperAlive);
        }
        match self.state(run_dir).map_err(|error| SpawnError::Io("state file", error))? {
            RunState::Nothing => {}
            ran => return Err(SpawnError::AlreadyRan(Box::new(ran))),
        }
        let mut dice = self.seed.dice(&format!("run/{}", spec.run_uid));
        let behaviour = Behaviour::of(&spec.argv, &mut dice);
        let process = process_of(self.node(), &spec);
        let (signals, received) = mpsc::unbounded_channel();
        let (started, ended) = (CancellationToken::new(), CancellationToken::new());
        let (keeper_id, child_id) = (self.new_pid(), self.new_pid());
        let keeping = Keeping {
            host: self.clone(),
            dir: run_dir.to_owned(),
            process,
            ids: (keeper_id, child_id),
            behaviour,
            leash: spec.leash,
            started: started.clone(),
            signals: received,
        };
        let (go, told) = oneshot::channel();
        let run_uid = spec.run_uid;
        let task = tokio::spawn(keeper::keep(keeping, told));
        let keeper = Keeper { run_uid, id: keeper_id, ended: ended.clone(), signals, task };
        self.lock().keepers.insert(run_dir.to_owned(), keeper);
        Ok(SimReady { go, started, ended })
    }

    pub(super) fn look(&self, run_dir: &Path) -> std::io::Result<Look> {
        let alive = self.lock().keepers.contains_key(run_dir);
        Ok(Look { alive, state: self.state(run_dir)? })
    }

    pub(super) fn watch(&self, run_dir: &Path) -> Watch {
        let ended = self.lock().keepers.get(run_dir).map(|keeper| keeper.ended.clone());
        Box::pin(async move {
            if let Some(ended) = ended {
                ended.cancelled().await;
            }
        })
    }

    pub(super) fn signal(&self, started: &Started, signal: Signal) {
        let inner = self.lock();
        let keeper = inner
            .keepers
            .values()
            .find(|keeper| keeper.run_uid == started.run_uid && keeper.id == started.keeper);
        if let Some(keeper) = keeper {
            // Its keeper may be at its end; then the process is, too.
            let _ = keeper.signals.send(signal);
        }
    }

    /// Kills all that a run has started.
    pub(super) fn end(&self, run_uid: &str) {
        let orphan = {
            let mut inner = self.lock();
            match inner.keepers.values().find(|keeper| keeper.run_uid == run_uid) {
                Some(keeper) => {
                    let _ = keeper.signals.send(Signal::KILL);
                    None
                }
                None => inner.children.remove(run_uid),
            }
        };
        if let Some((_, process)) = orphan {
            self.history.step(self.part(), Event::Ended(process, Outcome::Signal(9)));
        }
    }

    pub(super) fn output(&self, run_dir: &Path) -> Vec<Record> {
        self.lock().output.get(run_dir).cloned().unwrap_or_default()
    }

    fn state(&self, run_dir: &Path) -> std::io::Result<RunState> {
        match self.disk.read(&run_dir.join(STATE_FILE), STATE_BYTES) {
            Ok(bytes) => state::parse(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(RunState::Nothing),
            Err(error) => Err(error),
        }
    }

    fn new_pid(&self) -> ProcessId {
        let start_ticks = u64::try_from(self.clock.boottime().as_millis() / 10).unwrap_or(0);
        let mut inner = self.lock();
        // Numbers come round again, as they do.
        inner.pids = if inner.pids >= 30_000 { 100 } else { inner.pids + 1 };
        ProcessId { pid: inner.pids, start_ticks }
    }
}

fn process_of(node: usize, spec: &RunSpec) -> Process {
    let variable = |name: &str| spec.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let text = |name: &str| variable(name).unwrap_or_default();
    Process {
        node,
        run_uid: spec.run_uid.clone(),
        run_name: text("DROVER_RUN_NAME"),
        workload: format!("{}/{}", text("DROVER_NAMESPACE"), text("DROVER_WORKLOAD")),
        tick: variable("DROVER_SCHEDULED_TIME"),
        attempt: text("DROVER_ATTEMPT").parse().unwrap_or(0),
        replica: variable("DROVER_REPLICA").and_then(|text| text.parse().ok()),
    }
}

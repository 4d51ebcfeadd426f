//! A running agent, and what it has told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover_node_agent::{Agent, Config, Handle, RealHost};
use drover_wire::{
    Desired, Material, MaterialKind, PoolSettings, Report, ReportItem, Trigger, TriggerResult,
};
use drover_world::{Clock, Disk, RealDisk, SystemClock, World};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longer than anything here takes; a law that does not hold fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What was reported, as a server would have it.
#[derive(Default)]
pub(crate) struct Seen {
    /// The latest of each Run, by uid.
    pub(crate) runs: BTreeMap<String, Value>,
    /// Every report of a Run, in order.
    pub(crate) all: Vec<Value>,
    /// Status by Assignment name.
    pub(crate) statuses: BTreeMap<String, Value>,
    pub(crate) ended: Vec<String>,
    /// The latest of each Event, by reason.
    pub(crate) events: BTreeMap<String, Value>,
}

impl Seen {
    pub(crate) fn take(&mut self, report: &Report) {
        for item in &report.items {
            match item {
                ReportItem::Run { object } => {
                    self.runs.insert(text(object, "/metadata/uid").to_owned(), object.clone());
                    self.all.push(object.clone());
                }
                ReportItem::AssignmentStatus(status) => {
                    self.statuses.insert(status.name.clone(), status.status.clone());
                }
                ReportItem::Ended(gone) => self.ended.push(gone.name.clone()),
                ReportItem::Event { object } => {
                    self.events.insert(text(object, "/reason").to_owned(), object.clone());
                }
                ReportItem::Node { .. } => {}
            }
        }
    }

    /// Runs of a workload in this phase, in the order of their making.
    pub(crate) fn runs_in(&self, workload: &str, phase: &str) -> Vec<&Value> {
        let of = |run: &&Value| text(run, "/spec/workloadRef/name") == workload && self::phase(run) == phase;
        self.runs.values().filter(of).collect()
    }

    /// A condition of an Assignment: status and reason.
    pub(crate) fn condition(&self, workload: &str, type_: &str) -> Option<(String, String)> {
        let status = self.statuses.get(&format!("{workload}-host-1"))?;
        let mut conditions = status.get("conditions")?.as_array()?.iter();
        let held = conditions.find(|condition| text(condition, "/type") == type_)?;
        Some((text(held, "/status").to_owned(), text(held, "/reason").to_owned()))
    }

    pub(crate) fn is_ready(&self, workload: &str) -> bool {
        self.condition(workload, "Ready").is_some_and(|(status, _)| status == "True")
    }
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn phase(run: &Value) -> &str {
    text(run, "/status/phase")
}

pub(crate) fn boot_id() -> String {
    drover_spawn::process::boot_id().unwrap()
}

/// A running agent. When dropped it ends without a word, as if killed, and so does all that it has started.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) seen: Seen,
    pub(crate) data_dir: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_in_boot(data_dir, &boot_id())
    }

    pub(crate) fn start_in_boot(data_dir: &Path, boot_id: &str) -> Self {
        Self::start_with(data_dir, boot_id, World::system(), drover_keeper_image::install)
    }

    /// With this world, and with the keeper program that is put into its directory so.
    pub(crate) fn start_with(
        data_dir: &Path,
        boot_id: &str,
        world: World,
        install: impl Fn(&Path) -> std::io::Result<PathBuf>,
    ) -> Self {
        std::fs::create_dir_all(data_dir).unwrap();
        let keeper = install(data_dir).unwrap();
        Self::start_on(Arc::new(RealDisk), data_dir, boot_id, world, keeper)
    }

    /// With this disk, and with this keeper program.
    pub(crate) fn start_on(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        boot_id: &str,
        world: World,
        keeper: PathBuf,
    ) -> Self {
        let config = Config {
            node_name: "host-1".into(),
            node_uid: "node-uid".into(),
            boot_id: boot_id.to_owned(),
            data_dir: data_dir.to_owned(),
            search_path: "/usr/bin:/bin".to_owned(),
        };
        let host = Arc::new(RealHost::new(keeper));
        let (agent, handle) = Agent::open(config, world, disk, host).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            agent.run(async move { drop(stopped.await) }).await.unwrap();
        });
        let data_dir = data_dir.to_owned();
        Self { handle, seen: Seen::default(), data_dir, stop: Some(stop), task: Some(task) }
    }

    pub(crate) async fn stop(mut self) -> Seen {
        drop(self.stop.take());
        self.task.take().unwrap().await.unwrap();
        std::mem::take(&mut self.seen)
    }

    /// Ends it as a crash does: nothing is said or written any more.
    pub(crate) async fn crash(mut self) -> Seen {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
        std::mem::take(&mut self.seen)
    }

    /// Takes reports, acknowledges them, until `found` finds what it looks for.
    pub(crate) async fn until<T>(&mut self, what: &str, found: impl Fn(&Seen) -> Option<T>) -> T {
        let looking = async {
            loop {
                for report in self.handle.reports(None).await.unwrap() {
                    self.seen.take(&report);
                    self.handle.acknowledged(report.agent_epoch, report.sequence).await.unwrap();
                }
                if let Some(found) = found(&self.seen) {
                    return found;
                }
                self.handle.bell().await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("{what}: {:?} {:?}", self.seen.runs, self.seen.statuses))
    }

    /// The first Run of a workload in this phase.
    pub(crate) async fn run(&mut self, workload: &str, phase: &str) -> Value {
        let what = format!("{workload} {phase}");
        self.until(&what, |seen| seen.runs_in(workload, phase).first().map(|run| (*run).clone())).await
    }

    pub(crate) async fn wants(&self, revision: u64, assignments: Vec<Value>) {
        self.wants_with(revision, assignments, Vec::new()).await;
    }

    pub(crate) async fn wants_with(&self, revision: u64, assignments: Vec<Value>, materials: Vec<Material>) {
        let desired = Desired { revision, full: true, assignments, materials, ..Desired::default() };
        self.handle.desired("epoch", desired).await.unwrap();
    }

    pub(crate) async fn wants_in_pool(&self, assignments: Vec<Value>, lanes: &[(&str, u32)]) {
        let lanes = lanes.iter().map(|(lane, bound)| ((*lane).to_owned(), *bound)).collect();
        let pool = Some(PoolSettings { lanes, ..PoolSettings::default() });
        let desired = Desired { revision: 1, full: true, assignments, pool, ..Desired::default() };
        self.handle.desired("epoch", desired).await.unwrap();
    }

    pub(crate) async fn trigger(&self, workload: &str, request_id: &str) -> TriggerResult {
        let assignment_uid = format!("{workload}-assignment");
        self.handle.trigger(Trigger { request_id: request_id.into(), assignment_uid }).await.unwrap()
    }

    pub(crate) fn state(&self, run: &Value) -> drover_spawn::RunState {
        let uid = text(run, "/metadata/uid");
        drover_spawn::state::read(&self.data_dir.join("runs").join(uid)).unwrap()
    }

    /// How many processes of a run are alive.
    pub(crate) fn members(&self, run: &Value) -> usize {
        let tree = drover_spawn::Tree::of_run(text(run, "/metadata/uid"), &self.state(run));
        tree.members().unwrap().len()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// A data directory. What still runs in it when a test ends, well or badly, is killed.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the agent keeps its state.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        end_all(&self.data());
    }
}

/// Kills whatever runs below a data directory, keepers first: as a power cut would.
pub(crate) fn end_all(data_dir: &Path) {
    let Ok(entries) = std::fs::read_dir(data_dir.join("runs")) else { return };
    for entry in entries.flatten() {
        let Ok(state) = drover_spawn::state::read(&entry.path()) else { continue };
        if let Some(started) = state.started() {
            let _ = started.keeper.signal(drover_spawn::process::Signal::KILL);
        }
        let uid = entry.file_name().into_string().unwrap();
        let _ = drover_spawn::Tree::of_run(&uid, &state).end();
    }
}

pub(crate) fn assignment(name: &str, kind: &str, workload: Value) -> Value {
    let mut spec = json!({
        "nodeName": "host-1",
        "workloadRef": {"kind": kind, "name": name, "uid": format!("{name}-uid"), "generation": 1},
    });
    spec[kind.to_lowercase()] = workload;
    json!({
        "apiVersion": "drover.dev/v1", "kind": "Assignment", "spec": spec,
        "metadata": {
            "name": format!("{name}-host-1"), "namespace": "default",
            "uid": format!("{name}-assignment"), "generation": 1,
        },
    })
}

/// The same, of a later generation.
pub(crate) fn changed(mut assignment: Value, generation: i64) -> Value {
    assignment["metadata"]["generation"] = json!(generation);
    assignment["spec"]["workloadRef"]["generation"] = json!(generation);
    assignment
}

pub(crate) fn script(text: &str) -> Value {
    json!({"process": {"script": text}})
}

pub(crate) fn secret(name: &str, data: &[(&str, &str)]) -> Material {
    use base64::Engine as _;
    let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    Material {
        kind: MaterialKind::Secret,
        namespace: "default".into(),
        name: name.into(),
        resource_version: "1".into(),
        data: data.iter().map(|(key, value)| ((*key).to_owned(), encode(value))).collect(),
    }
}

/// Time since boot.
pub(crate) fn boottime() -> Duration {
    SystemClock.boottime()
}

/// Lines that runs have written to a file so far.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

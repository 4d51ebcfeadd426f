//! The agent with real keepers and processes, and without a server.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drover_node_agent::{Agent, Config, Handle, RealHost};
use drover_wire::{Desired, ReportItem};
use drover_world::{RealDisk, World};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running agent, ended without a word when dropped.
struct Running {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(data_dir: &Path) -> Self {
        let keeper = drover_keeper_image::install(data_dir).unwrap();
        let config = Config {
            node_name: "host-1".into(),
            node_uid: "node-uid".into(),
            boot_id: drover_spawn::process::boot_id().unwrap(),
            data_dir: data_dir.to_owned(),
        };
        let host = Arc::new(RealHost::new(keeper));
        let (agent, handle) = Agent::open(config, World::system(), Arc::new(RealDisk), host).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            agent.run(async move { drop(stopped.await) }).await.unwrap();
        });
        Self { handle, stop: Some(stop), task }
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    /// The first Run reported, from now on, that fits.
    async fn run(&self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            for report in self.handle.reports(None).await.unwrap() {
                for item in &report.items {
                    if let ReportItem::Run { object } = item
                        && fits(object)
                    {
                        return object.clone();
                    }
                }
                self.handle.acknowledged(report.agent_epoch, report.sequence).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wants(&self, revision: u64, assignments: Vec<Value>) {
        let desired = Desired { revision, full: true, assignments, ..Desired::default() };
        self.handle.desired("epoch", desired).await.unwrap();
    }
}

fn assignment(name: &str, kind: &str, workload: Value) -> Value {
    let mut spec = json!({
        "nodeName": "host-1",
        "workloadRef": {"kind": kind, "name": name, "uid": format!("{name}-uid"), "generation": 1},
    });
    spec[kind.to_lowercase()] = workload;
    json!({
        "apiVersion": "drover.dev/v1", "kind": "Assignment", "spec": spec,
        "metadata": {"name": format!("{name}-host-1"), "namespace": "default", "uid": format!("{name}-assignment")},
    })
}

fn phase(run: &Value) -> &str {
    run.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_and_its_run_is_recorded_with_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let agent = Running::start(dir.path());
    let timer =
        json!({"every": "1s", "template": {"process": {"script": "echo tick $DROVER_NODE_NAME; exit 3"}}});
    agent.wants(1, vec![assignment("beat", "Timer", timer)]).await;
    let run = agent.run(|run| phase(run) == "Failed").await;
    assert_eq!(run.pointer("/status/exitCode"), Some(&json!(3)));
    assert_eq!(run.pointer("/status/outputTail"), Some(&json!("tick host-1\n")));
    assert_eq!(run.pointer("/spec/trigger/type"), Some(&json!("Schedule")));
    agent.wants(2, Vec::new()).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_outlives_the_agent_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let service = json!({"template": {"process": {"command": ["sleep", "600"]}}});
    let agent = Running::start(dir.path());
    agent.wants(1, vec![assignment("web", "Service", service)]).await;
    let first = agent.run(|run| phase(run) == "Running").await;
    agent.stop().await;
    let agent = Running::start(dir.path());
    let again = agent.run(|run| phase(run) == "Running").await;
    assert_eq!(again.pointer("/metadata/uid"), first.pointer("/metadata/uid"));
    assert_eq!(again.pointer("/status/pid"), first.pointer("/status/pid"));
    agent.wants(2, Vec::new()).await;
    let ended = agent.run(|run| phase(run) == "Failed").await;
    assert_eq!(ended.pointer("/status/reason"), Some(&json!("Removed")));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_keeper_makes_the_run_lost_and_the_service_starts_again_once() {
    let dir = tempfile::tempdir().unwrap();
    let service = json!({"template": {"process": {"script": "sleep 600 & wait"}}});
    let agent = Running::start(dir.path());
    agent.wants(1, vec![assignment("web", "Service", service)]).await;
    let first = agent.run(|run| phase(run) == "Running").await;
    let uid = first.pointer("/metadata/uid").and_then(Value::as_str).unwrap().to_owned();
    let state = drover_spawn::state::read(&dir.path().join("runs").join(&uid)).unwrap();
    let started = state.started().unwrap().clone();
    started.keeper.signal(drover_spawn::process::Signal::KILL).unwrap();
    let lost = agent.run(|run| phase(run) == "Lost").await;
    assert_eq!(lost.pointer("/metadata/uid"), Some(&json!(uid)));
    assert_eq!(lost.pointer("/status/reason"), Some(&json!("KeeperDied")));
    assert!(drover_spawn::Tree::of_run(&uid, &state).members().unwrap().is_empty(), "its tree is gone");
    let second = agent.run(|run| phase(run) == "Running").await;
    assert_eq!(second.pointer("/spec/attempt"), Some(&json!(2)));
    agent.wants(2, Vec::new()).await;
    agent.run(|run| phase(run) == "Failed").await;
    agent.stop().await;
}

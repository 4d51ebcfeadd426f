//! A server, a reconciler that can be killed, and hosts that do what a test tells them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use drover_apiserver::{Server, ServerOptions};
use drover_client::{Client, DeleteOptions, FnDial, Key, PatchKind};
use drover_reconciler::{Options, Reconciler};
use drover_store::SqliteStore;
use drover_types::{Condition, ConditionStatus, Kind, ObjectMeta};
use drover_world::{Clock, SystemClock, World};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::seen::Seen;

/// Far longer than anything takes: only a test that hangs runs into it.
const HANGS: Duration = Duration::from_secs(60);

/// The host's clock, moved forward at will.
#[derive(Default)]
struct MovedClock(AtomicI64);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn boottime(&self) -> Duration {
        SystemClock.boottime()
    }
}

pub(crate) struct Fleet {
    server: Server,
    pub(crate) client: Client,
    world: World,
    clock: Arc<MovedClock>,
    pub(crate) seen: Seen,
    running: Option<JoinHandle<()>>,
    stats: Option<Arc<drover_reconciler::Stats>>,
    /// Whether the reconciler is cut off from the server.
    cut: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

pub(crate) fn key(name: &str) -> Key {
    Key { namespace: "default".into(), name: name.into() }
}

pub(crate) fn options() -> Options {
    Options { coalesce: Duration::from_millis(5), ..Options::default() }
}

pub(crate) fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|c| c.type_ == type_ && c.status == ConditionStatus::True)
}

impl Fleet {
    /// A server and a reconciler.
    pub(crate) async fn new() -> Self {
        let mut fleet = Self::without_reconciler().await;
        fleet.start(options());
        fleet
    }

    pub(crate) async fn without_reconciler() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(MovedClock::default());
        let world = World { clock: clock.clone(), ..World::system() };
        let entropy = world.clone();
        let store =
            SqliteStore::open(dir.path(), drover_store::Options::new(move || entropy.uuid_v4().as_u128()))
                .unwrap();
        let settings = ServerOptions::new(dir.path(), vec!["localhost".into()]);
        let server = Server::start(Arc::new(store), world.clone(), settings).await.unwrap();
        let client = client(&server, watch::channel(false).1);
        let seen = Seen::start(&client);
        let cut = watch::Sender::new(false);
        Self { server, client, world, clock, seen, running: None, stats: None, cut, _dir: dir }
    }

    pub(crate) fn start(&mut self, options: Options) {
        let reconciler =
            Reconciler::new(client(&self.server, self.cut.subscribe()), self.world.clone(), options);
        self.stats = Some(reconciler.stats());
        self.running = Some(tokio::spawn(reconciler.run(std::future::pending())));
    }

    /// Drops the reconciler wherever it is.
    pub(crate) async fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let ended = running.await;
            assert!(ended.is_err_and(|error| error.is_cancelled()), "it never ends by itself");
        }
    }

    /// Breaks the reconciler's connections and lets none be made, or lets them be made again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }

    pub(crate) fn counts(&self) -> drover_reconciler::Counts {
        self.stats.as_ref().unwrap().counts()
    }

    pub(crate) fn now(&self) -> String {
        self.world.clock.now().to_string()
    }

    pub(crate) fn forward(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) async fn post(&self, kind: Kind, namespace: &str, object: Value) -> ObjectMeta {
        let made: Value = self.client.create(&kind.path(Some(namespace)), &object).await.unwrap();
        serde_json::from_value(made["metadata"].clone()).unwrap()
    }

    fn path(kind: Kind, key: &Key) -> String {
        format!("{}/{}", kind.path(Some(&key.namespace)), key.name)
    }

    pub(crate) async fn patch(&self, kind: Kind, key: &Key, change: Value) -> ObjectMeta {
        let path = Self::path(kind, key);
        let made: Value = self.client.patch(&path, PatchKind::Merge, &change).await.unwrap();
        serde_json::from_value(made["metadata"].clone()).unwrap()
    }

    /// Changes an object in a way that means nothing, if it is still there: an alarm of the reconciler is set by a
    /// clock that a test does not move.
    pub(crate) async fn touch(&self, kind: Kind, key: &Key) {
        let change = json!({"metadata": {"labels": {"touched": next_number().to_string()}}});
        let touched = self.client.patch::<_, Value>(&Self::path(kind, key), PatchKind::Merge, &change).await;
        assert!(touched.is_ok() || touched.is_err_and(|error| error.is_not_found()));
    }

    pub(crate) async fn status(&self, kind: Kind, key: &Key, status: Value) {
        let path = format!("{}/status", Self::path(kind, key));
        let _: Value = self.client.patch(&path, PatchKind::Merge, &json!({"status": status})).await.unwrap();
    }

    pub(crate) async fn delete(&self, kind: Kind, key: &Key, policy: &str) {
        let options = DeleteOptions { propagation_policy: Some(policy.into()), preconditions: None };
        self.client.delete(&Self::path(kind, key), &options).await.unwrap();
    }

    /// A host joins and connects.
    pub(crate) async fn join(&self, name: &str, labels: Value) -> ObjectMeta {
        let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {}});
        let made = self.post(Kind::Node, "", node).await;
        self.connect(name, true).await;
        made
    }

    /// A host's session comes or goes.
    pub(crate) async fn connect(&self, name: &str, connected: bool) {
        let session = json!({"serverId": "s", "connected": connected, "changedAt": self.world.clock.now()});
        self.status(Kind::Node, &node_key(name), json!({"session": session})).await;
    }

    pub(crate) async fn ready(&self, name: &str) {
        self.until("the node is Ready", |seen| seen.is_ready(name)).await;
    }

    /// A host falls silent for long enough to be called Unknown. It must be the only one that is disconnected.
    pub(crate) async fn silence(&self, name: &str) {
        self.connect(name, false).await;
        self.until("the disconnect is noticed", |seen| {
            let node = seen.nodes.get(&node_key(name)).unwrap();
            node.status.iter().flat_map(|s| &s.conditions).any(|c| c.reason == "AgentDisconnected")
        })
        .await;
        self.forward(61);
        self.look_at_node(name).await;
        self.until("the node is Unknown", |seen| !seen.is_ready(name)).await;
    }

    /// Makes the reconciler look at a node: its own alarm is set by a clock that a test does not move.
    pub(crate) async fn look_at_node(&self, name: &str) {
        let label = json!({"metadata": {"annotations": {"looked": self.world.clock.now().to_string()}}});
        self.patch(Kind::Node, &node_key(name), label).await;
    }

    /// Changes a workload in a way that means nothing, and waits until the reconciler has decided about it.
    pub(crate) async fn look_at_service(&self, name: &str) {
        let restarts = json!({"spec": {"restart": {"backoff": format!("{}ms", next_number())}}});
        let made = self.patch(Kind::Service, &key(name), restarts).await;
        self.until("the service was looked at", |seen| {
            let status = seen.services.get(&key(name)).and_then(|s| s.status.clone());
            status.is_some_and(|status| Some(status.observed_generation) == made.generation)
        })
        .await;
    }

    /// An agent says what it made of an Assignment, in its newest generation.
    pub(crate) async fn report(&self, name: &str, mut status: Value) {
        let held = self.seen.assignments.get(&key(name)).unwrap();
        status["observedGeneration"] = held.metadata.generation.into();
        self.status(Kind::Assignment, &key(name), status).await;
    }

    /// An agent says that the processes of a deleted Assignment ended.
    pub(crate) async fn ended(&self, name: &str) {
        self.patch(Kind::Assignment, &key(name), json!({"metadata": {"finalizers": null}})).await;
    }

    /// An agent tells of a Run of an Assignment.
    pub(crate) async fn run(&self, name: &str, assignment: &str, status: Value) {
        let held = self.seen.assignments.get(&key(assignment)).unwrap();
        let run = json!({
            "metadata": {"name": name, "ownerReferences": [{
                "apiVersion": "drover.dev/v1", "kind": "Assignment", "name": assignment,
                "uid": held.metadata.uid,
            }]},
            "spec": {
                "nodeName": held.spec.node_name, "workloadRef": held.spec.workload_ref,
                "assignmentRef": assignment, "attempt": 1,
                "trigger": {"type": "Schedule", "time": self.world.clock.now()},
            },
        });
        self.post(Kind::Run, "default", run).await;
        self.status(Kind::Run, &key(name), status).await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let mut bell = self.seen.bell.subscribe();
        let wait = async {
            while !holds(&self.seen) {
                bell.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(HANGS, wait).await.is_err() {
            panic!("it never came about that {what}:\n{}", self.seen.describe());
        }
    }
}

fn next_number() -> i64 {
    static NUMBER: AtomicI64 = AtomicI64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn node_key(name: &str) -> Key {
    Key { namespace: String::new(), name: name.into() }
}

fn client(server: &Server, cut: watch::Receiver<bool>) -> Client {
    let (server, token) = (server.clone(), server.admin_token().to_owned());
    let dial = move || {
        let mut cut = cut.clone();
        if *cut.borrow_and_update() {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(64 << 10);
        let server = server.clone();
        tokio::spawn(async move {
            let broken = async {
                // A test that is over cuts nothing any more.
                if cut.wait_for(|cut| *cut).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = server.serve_connection(far) => {}
                () = broken => {}
            }
        });
        Ok(Box::new(near) as drover_client::BoxStream)
    };
    Client::new(Arc::new(FnDial(dial)), "drover").unwrap().with_token(&token).unwrap()
}

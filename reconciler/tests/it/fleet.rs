//! A server, a reconciler that can be killed, and hosts that do what a test tells them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drover_apiserver::{Server, ServerOptions};
use drover_client::{Change, Client, DeleteOptions, FnDial, Key, PatchKind, Reflector, ReflectorOptions};
use drover_reconciler::{Options, Reconciler};
use drover_store::SqliteStore;
use drover_types::kinds::{Assignment, Event, Namespace, Node, NodePool, Run, Service, Task, Timer};
use drover_types::{Condition, ConditionStatus, Kind, ObjectMeta};
use drover_world::{Clock, SystemClock, World};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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

/// A test's own copy of what the server stores.
pub(crate) struct Seen {
    pub(crate) assignments: Reflector<Assignment>,
    pub(crate) runs: Reflector<Run>,
    pub(crate) nodes: Reflector<Node>,
    pub(crate) pools: Reflector<NodePool>,
    pub(crate) timers: Reflector<Timer>,
    pub(crate) tasks: Reflector<Task>,
    pub(crate) services: Reflector<Service>,
    pub(crate) namespaces: Reflector<Namespace>,
    pub(crate) events: Reflector<Event>,
    /// How often each Assignment was made, by workload uid and node.
    made: Arc<Mutex<BTreeMap<(String, String), u32>>>,
    /// How often each Timer that ever was changed, by name.
    had: Arc<Mutex<BTreeMap<String, u32>>>,
    /// Every reason that a Run was ever Lost for, by name.
    lost: Arc<Mutex<BTreeMap<String, String>>>,
    bell: watch::Sender<u64>,
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

fn follow<T: DeserializeOwned + Send + Sync + 'static>(
    client: &Client,
    kind: Kind,
    bell: &watch::Sender<u64>,
    note: impl Fn(&Change<'_, T>) + Send + Sync + 'static,
) -> Reflector<T> {
    let bell = bell.clone();
    let handler = move |change: &Change<'_, T>| {
        note(change);
        bell.send_modify(|count| *count += 1);
    };
    let options = ReflectorOptions { handler: Some(Box::new(handler)), ..ReflectorOptions::default() };
    Reflector::start(client.clone(), &kind.path(None), options)
}

impl Seen {
    fn start(client: &Client) -> Self {
        let bell = watch::Sender::new(0);
        let (made, lost) = (Arc::<Mutex<BTreeMap<_, _>>>::default(), Arc::<Mutex<BTreeMap<_, _>>>::default());
        let had = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let timers = had.clone();
        let (makes, losses) = (made.clone(), lost.clone());
        let count = move |change: &Change<'_, Assignment>| {
            if let (None, Some(new)) = (change.old, change.new) {
                let of = (new.spec.workload_ref.uid.clone(), new.spec.node_name.clone());
                *makes.lock().unwrap().entry(of).or_insert(0) += 1;
            }
        };
        let note = move |change: &Change<'_, Run>| {
            let status = change.new.and_then(|run| run.status.as_ref());
            if let Some(status) = status.filter(|s| s.phase == drover_types::kinds::run::RunPhase::Lost) {
                losses.lock().unwrap().insert(change.key.name.clone(), status.reason.clone());
            }
        };
        Self {
            assignments: follow(client, Kind::Assignment, &bell, count),
            runs: follow(client, Kind::Run, &bell, note),
            nodes: follow(client, Kind::Node, &bell, |_| {}),
            pools: follow(client, Kind::NodePool, &bell, |_| {}),
            timers: follow(client, Kind::Timer, &bell, move |change| {
                *timers.lock().unwrap().entry(change.key.name.clone()).or_insert(0) += 1;
            }),
            tasks: follow(client, Kind::Task, &bell, |_| {}),
            services: follow(client, Kind::Service, &bell, |_| {}),
            namespaces: follow(client, Kind::Namespace, &bell, |_| {}),
            events: follow(client, Kind::Event, &bell, |_| {}),
            made,
            had,
            lost,
            bell,
        }
    }

    /// How many changes were seen so far.
    pub(crate) fn changes(&self) -> u64 {
        *self.bell.borrow()
    }

    pub(crate) fn is_ready(&self, node: &str) -> bool {
        let node = self.nodes.get(&node_key(node));
        node.is_some_and(|n| n.status.as_ref().is_some_and(|s| holds(&s.conditions, "Ready")))
    }

    /// Assignments of a workload that are not going, in order of their nodes.
    pub(crate) fn of(&self, workload: &str) -> Vec<Arc<Assignment>> {
        let mut of: Vec<Arc<Assignment>> = self.assignments.list().into_iter().map(|(_, a)| a).collect();
        of.retain(|a| a.spec.workload_ref.name == workload && a.metadata.deletion_timestamp.is_none());
        of.sort_by(|a, b| a.spec.node_name.cmp(&b.spec.node_name));
        of
    }

    /// The nodes that have a workload, sorted.
    pub(crate) fn nodes_of(&self, workload: &str) -> Vec<String> {
        self.of(workload).iter().map(|a| a.spec.node_name.clone()).collect()
    }

    /// The name of the Assignment of a workload on a node, also if it is going.
    pub(crate) fn on(&self, workload: &str, node: &str) -> Option<String> {
        let all = self.assignments.list();
        let found =
            all.iter().find(|(_, a)| a.spec.workload_ref.name == workload && a.spec.node_name == node);
        found.map(|(key, _)| key.name.clone())
    }

    /// The most often that any workload was given to the same node.
    pub(crate) fn most_made(&self) -> u32 {
        self.made.lock().unwrap().values().copied().max().unwrap_or(0)
    }

    /// Whether a Timer of this name ever was.
    pub(crate) fn had(&self, timer: &str) -> bool {
        self.had.lock().unwrap().contains_key(timer)
    }

    /// How often Timers changed.
    pub(crate) fn timer_changes(&self) -> u32 {
        self.had.lock().unwrap().values().sum()
    }

    /// Why a Run was ever Lost.
    pub(crate) fn lost(&self, run: &str) -> Option<String> {
        self.lost.lock().unwrap().get(run).cloned()
    }

    /// Events about an object: reason, message and count.
    pub(crate) fn told(&self, kind: &str, name: &str) -> Vec<(String, String, u32)> {
        let all = self.events.list().into_iter().map(|(_, event)| event);
        all.filter(|e| e.involved_object.kind == kind && e.involved_object.name == name)
            .map(|e| (e.reason.clone(), e.message.clone(), e.count))
            .collect()
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        self.assignments.for_each(|key, a| text += &format!("{key}: {a:?}\n"));
        self.runs.for_each(|key, run| text += &format!("{key}: {run:?}\n"));
        self.nodes.for_each(|key, node| text += &format!("{key}: {node:?}\n"));
        self.services.for_each(|key, s| text += &format!("{key}: {:?}\n", s.status));
        self.tasks.for_each(|key, t| text += &format!("{key}: {:?}\n", t.status));
        self.timers.for_each(|key, t| text += &format!("{key}: {:?} {:?}\n", t.metadata, t.status));
        self.namespaces.for_each(|key, n| text += &format!("{key}: {n:?}\n"));
        self.events.for_each(|key, e| text += &format!("{key}: {} {} {}\n", e.reason, e.message, e.count));
        text
    }
}

pub(crate) fn timer(name: &str, placement: Value) -> Value {
    workload(name, json!({"every": "1h", "placement": placement, "template": template()}))
}

pub(crate) fn task(name: &str, placement: Value) -> Value {
    workload(name, json!({"mode": "Once", "placement": placement, "template": template()}))
}

pub(crate) fn service(name: &str, placement: Value) -> Value {
    workload(name, json!({"placement": placement, "template": template()}))
}

fn template() -> Value {
    json!({"process": {"command": ["/bin/true"]}})
}

fn workload(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}

//! A test's own copy of what the server stores, and what it noted on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use drover_client::{Change, Client, Reflector, ReflectorOptions};
use drover_types::Kind;
use drover_types::kinds::{
    Assignment, Event, Namespace, Node, NodePool, Run, Service, ServiceAccount, Task, Timer,
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::fleet::{holds, node_key};

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
    pub(crate) accounts: Reflector<ServiceAccount>,
    /// How often each Assignment was made, by workload uid and node.
    made: Arc<Mutex<BTreeMap<(String, String), u32>>>,
    /// How often each Timer that ever was changed, by name.
    had: Arc<Mutex<BTreeMap<String, u32>>>,
    /// Every reason that a Run was ever Lost for, by name.
    lost: Arc<Mutex<BTreeMap<String, String>>>,
    /// Rings at each change.
    pub(crate) bell: watch::Sender<u64>,
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
    pub(crate) fn start(client: &Client) -> Self {
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
            accounts: follow(client, Kind::ServiceAccount, &bell, |_| {}),
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

    pub(crate) fn describe(&self) -> String {
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

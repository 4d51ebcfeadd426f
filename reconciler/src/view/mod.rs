//! The local copy of what the server stores: one reflector per kind, and indexes over them.

mod assignments;
mod graph;
mod objects;
mod runs;

use std::sync::Arc;

use drover_client::{Change, Client, Key, Reflector, ReflectorOptions};
use drover_types::kinds::{Namespace, Node, NodePool, Service, Task, Timer};
use drover_types::{Kind, ObjectMeta};
use serde::de::DeserializeOwned;

use crate::options::Options;
use crate::queues::Queues;
use crate::triggers::{self, Scene};

pub(crate) use assignments::AssignmentIndex;
pub(crate) use graph::{Graph, Id};
pub(crate) use objects::{Bare, HasMeta, SeenEvent, SlimRun};
pub(crate) use runs::{RunIndex, is_open, slot_of};

/// What is looked up otherwise than by kind and key.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) assignments: AssignmentIndex,
    pub(crate) runs: RunIndex,
    pub(crate) graph: Graph,
}

/// The copies.
pub(crate) struct View {
    pub(crate) namespaces: Reflector<Namespace>,
    pub(crate) nodes: Reflector<Node>,
    pub(crate) pools: Reflector<NodePool>,
    pub(crate) timers: Reflector<Timer>,
    pub(crate) tasks: Reflector<Task>,
    pub(crate) services: Reflector<Service>,
    /// Only to be followed: the index has them, newer.
    assignments: Reflector<drover_types::kinds::Assignment>,
    pub(crate) runs: Reflector<SlimRun>,
    pub(crate) events: Reflector<SeenEvent>,
    secrets: Reflector<Bare>,
    config_maps: Reflector<Bare>,
    accounts: Reflector<Bare>,
    leases: Reflector<Bare>,
}

/// Follows one kind. The graph knows of a change first, then the kind's own index, then the controllers.
fn follow<T: HasMeta + DeserializeOwned + Send + Sync + 'static>(
    kind: Kind,
    client: &Client,
    scene: &Scene,
    wake: impl Fn(&Scene, &Change<'_, T>) + Send + Sync + 'static,
) -> Reflector<T> {
    let scene = scene.clone();
    let handler = move |change: &Change<'_, T>| {
        let id = (kind, change.key.clone());
        let (old, new) = (change.old.map(|object| object.meta()), change.new.map(|object| object.meta()));
        scene.index.graph.observe(&id, old, new);
        wake(&scene, change);
        triggers::any(&scene, &id, old, new);
    };
    let options = ReflectorOptions { handler: Some(Box::new(handler)), ..ReflectorOptions::default() };
    Reflector::start(client.clone(), &kind.path(None), options)
}

impl View {
    /// Begins to follow everything.
    pub(crate) fn start(client: &Client, scene: &Scene) -> Self {
        let nothing = |_: &Scene, _: &Change<'_, Bare>| {};
        Self {
            namespaces: follow(Kind::Namespace, client, scene, triggers::namespace),
            nodes: follow(Kind::Node, client, scene, triggers::node),
            pools: follow(Kind::NodePool, client, scene, triggers::pool),
            timers: follow(Kind::Timer, client, scene, triggers::timer),
            tasks: follow(Kind::Task, client, scene, triggers::task),
            services: follow(Kind::Service, client, scene, triggers::service),
            assignments: follow(Kind::Assignment, client, scene, triggers::assignment),
            runs: follow(Kind::Run, client, scene, triggers::run),
            events: follow(Kind::Event, client, scene, triggers::event),
            secrets: follow(Kind::Secret, client, scene, nothing),
            config_maps: follow(Kind::ConfigMap, client, scene, nothing),
            accounts: follow(Kind::ServiceAccount, client, scene, triggers::account),
            leases: follow(Kind::Lease, client, scene, nothing),
        }
    }

    /// Waits until each copy is whole. Before that, what is absent here may well exist.
    pub(crate) async fn synced(&self) {
        self.namespaces.synced().await;
        self.nodes.synced().await;
        self.pools.synced().await;
        self.timers.synced().await;
        self.tasks.synced().await;
        self.services.synced().await;
        self.assignments.synced().await;
        self.runs.synced().await;
        self.events.synced().await;
        self.secrets.synced().await;
        self.config_maps.synced().await;
        self.accounts.synced().await;
        self.leases.synced().await;
    }

    /// The metadata of any object.
    pub(crate) fn meta(&self, (kind, key): &Id) -> Option<ObjectMeta> {
        fn of<T: HasMeta>(copy: &Reflector<T>, key: &Key) -> Option<ObjectMeta> {
            copy.get(key).map(|object| object.meta().clone())
        }
        match kind {
            Kind::Namespace => of(&self.namespaces, key),
            Kind::Node => of(&self.nodes, key),
            Kind::NodePool => of(&self.pools, key),
            Kind::Timer => of(&self.timers, key),
            Kind::Task => of(&self.tasks, key),
            Kind::Service => of(&self.services, key),
            Kind::Assignment => of(&self.assignments, key),
            Kind::Run => of(&self.runs, key),
            Kind::Event => of(&self.events, key),
            Kind::Secret => of(&self.secrets, key),
            Kind::ConfigMap => of(&self.config_maps, key),
            Kind::ServiceAccount => of(&self.accounts, key),
            Kind::Lease => of(&self.leases, key),
        }
    }

    /// Whether there is such a ServiceAccount.
    pub(crate) fn has_account(&self, key: &Key) -> bool {
        self.accounts.get(key).is_some()
    }

    /// All nodes, by name.
    pub(crate) fn all_nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.list().into_iter().map(|(_, node)| node).collect()
    }

    /// All pools, by name.
    pub(crate) fn all_pools(&self) -> Vec<Arc<NodePool>> {
        self.pools.list().into_iter().map(|(_, pool)| pool).collect()
    }
}

impl Scene {
    /// A new one.
    pub(crate) fn new(queues: &Arc<Queues>, options: &Options) -> Self {
        let (coalesce, refresh) = (options.coalesce, options.refresh);
        Self { index: Arc::default(), queues: Arc::clone(queues), coalesce, refresh }
    }
}

//! The reconciler as a value: made of a client, run until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use drover_client::Client;
use drover_mutants::{Mutant, active};
use drover_world::World;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::api::Api;
use crate::assignments::Assignments;
use crate::controller::{Controller, mend, resync, work};
use crate::events::{Events, Expiry, Recorder};
use crate::garbage::Garbage;
use crate::history::History;
use crate::namespaces::Namespaces;
use crate::nodes::Nodes;
use crate::options::Options;
use crate::pools::Pools;
use crate::queues::Queues;
use crate::runs::Runs;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::triggers::Scene;
use crate::view::View;
use crate::workloads::Workloads;

/// How often queues that were full are looked at.
const MEND: Duration = Duration::from_secs(1);

/// All controllers over one apiserver.
pub struct Reconciler {
    client: Client,
    world: World,
    options: Options,
    stats: Arc<Stats>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Calls a function for each controller there is.
macro_rules! each_controller {
    ($call:ident ( $($argument:expr),* )) => {{
        $call::<Workloads>($($argument),*);
        $call::<Assignments>($($argument),*);
        $call::<Runs>($($argument),*);
        $call::<History>($($argument),*);
        $call::<Nodes>($($argument),*);
        $call::<Pools>($($argument),*);
        $call::<Namespaces>($($argument),*);
        $call::<Garbage>($($argument),*);
        $call::<Events>($($argument),*);
        $call::<Expiry>($($argument),*);
    }};
}

impl Reconciler {
    /// One that sees the world through this client alone.
    pub fn new(client: Client, world: World, options: Options) -> Self {
        Self { client, world, options, stats: Arc::default() }
    }

    /// What it counts; to be taken before [`Reconciler::run`].
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Works until `shutdown` is over, then lets what is under way end within [`Options::drain`]. It never ends by
    /// itself: while the server is away it waits. Dropping the future is a kill: the next one goes on from what is
    /// stored.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = self.start();
        let mut shutdown = std::pin::pin!(shutdown);
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = shared.view.synced() => {}
        }
        tracing::info!("the reconciler has seen everything and begins");
        let mut workers = JoinSet::new();
        each_controller!(resync(&shared));
        each_controller!(hire(&shared, &mut workers));
        tokio::select! {
            biased;
            () = &mut shutdown => {}
            () = watch_over(&shared) => {}
        }
        shared.queues.close();
        let all = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(shared.options.drain, all).await.is_err() {
            tracing::info!("work under way was cut off; it is found again");
        }
    }

    fn start(self) -> Arc<Shared> {
        let Self { client, world, options, stats } = self;
        let queues = Arc::new(Queues::new(&options, &world.entropy));
        let scene = Scene::new(&queues, &options);
        let view = View::start(&client, &scene);
        let recorder = Recorder::new(&queues, &world, &stats, &options);
        Arc::new(Shared {
            api: Api { client },
            world,
            options,
            view,
            index: scene.index,
            queues,
            recorder,
            stats,
        })
    }
}

fn hire<C: Controller>(shared: &Arc<Shared>, workers: &mut JoinSet<()>) {
    for _ in 0..shared.options.workers.max(1) {
        workers.spawn(work::<C>(Arc::clone(shared)));
    }
}

/// Looks at everything again from time to time, and after a queue was full. Never ends.
async fn watch_over(shared: &Shared) {
    let every = shared.options.resync.max(Duration::from_millis(1));
    let mut resyncs = tokio::time::interval_at(Instant::now() + every, every);
    resyncs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mends = tokio::time::interval(MEND);
    mends.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = resyncs.tick(), if !active(Mutant::LostWakeUp) => each_controller!(resync(shared)),
            _ = mends.tick() => each_controller!(mend(shared)),
        }
    }
}

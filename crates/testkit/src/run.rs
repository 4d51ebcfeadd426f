//! One run: a cluster, a script, and a quiet time at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_mutants::Mutant;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clock::{Origin, SimClock};
use crate::disk::SimDisk;
use crate::history::{History, Violation};
use crate::host::SimHost;
use crate::law;
use crate::net::{Link, Quality};
use crate::part::{Caller, NodeSite, Orders, ReconcilerSite, ServerSite, watch_everything};
use crate::scenario::{self, Act, Stage};
use crate::seed::Seed;
use crate::step::{Event, Part, node_name};

/// How long it takes at most, after the last fault and the last change, until what is is what is wanted: an agent that
/// was refused comes back after a minute, so does one with a long backoff; a workload that may move does so two minutes
/// after its node fell silent, and its lease ends after that; a replica waits up to half a minute for its restart, a job
/// runs for up to four minutes and is tried again up to four times with a minute between two; the reconciler looks at
/// everything every ten minutes.
pub const QUIET: Duration = Duration::from_secs(45 * 60);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: Seed,
    /// How many nodes.
    pub nodes: usize,
    /// For how long things are done.
    pub time: Duration,
    /// How long the quiet time after that is.
    pub quiet: Duration,
    /// Whether anything breaks.
    pub faults: bool,
    /// The date on every wall clock at the beginning.
    pub wall: Timestamp,
    /// How many lines of the timeline are kept.
    pub keep: usize,
    /// What is done; absent: what the seed says.
    pub script: Option<Vec<Act>>,
    /// A bug that is put into the product; it takes the feature `mutants`.
    pub mutant: Option<Mutant>,
}

impl Plan {
    /// A run as the seed says, with so many nodes for so long.
    pub fn new(seed: Seed, nodes: usize, time: Duration) -> Self {
        // Nights on which clocks change, somewhere; and ordinary ones.
        let dates = [
            "2026-03-28T23:00:00Z",
            "2026-10-24T23:00:00Z",
            "2026-04-04T14:00:00Z",
            "2026-10-03T14:00:00Z",
            "2026-02-28T22:30:00Z",
            "2026-12-31T22:59:50Z",
            "2026-07-01T08:00:00Z",
        ];
        let date = seed.dice("date").pick(&dates).parse().unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            seed,
            nodes,
            time,
            quiet: QUIET,
            faults: true,
            wall: date,
            keep: 400,
            script: None,
            mutant: None,
        }
    }

    /// How long things are done, in begun hours.
    pub fn hours(&self) -> u64 {
        self.time.as_secs().div_ceil(3600)
    }

    /// What is done.
    pub fn script(&self) -> Vec<Act> {
        self.script.clone().unwrap_or_else(|| scenario::write(self))
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: Seed,
    /// How many steps its history has.
    pub steps: u64,
    /// SHA-256 of all lines of the timeline.
    pub hash: [u8; 32],
    /// The last lines of the timeline.
    pub timeline: Vec<String>,
    /// The law that was broken.
    pub violation: Option<Violation>,
}

/// Runs it: the same plan always comes to the same.
///
/// # Panics
/// If the runtime cannot be made.
pub fn run(plan: &Plan) -> Outcome {
    run_with(plan, law::all())
}

/// Runs it under these laws.
///
/// # Panics
/// If the runtime cannot be made, or a bug is asked for that this build does not have.
pub fn run_with(plan: &Plan, laws: Vec<Box<dyn law::Law>>) -> Outcome {
    with_mutant(plan.mutant, || run_here(plan, laws))
}

fn with_mutant<T>(mutant: Option<Mutant>, work: impl FnOnce() -> T) -> T {
    #[cfg(feature = "mutants")]
    return drover_mutants::with(mutant, work);
    #[cfg(not(feature = "mutants"))]
    {
        assert!(mutant.is_none(), "built without the feature `mutants`, no bug can be put in");
        work()
    }
}

fn run_here(plan: &Plan, laws: Vec<Box<dyn law::Law>>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O asks for nothing");
    let history = runtime.block_on(async {
        let origin = Origin::here(plan.wall);
        let history = History::new(origin, plan.keep, laws);
        tokio::select! {
            biased;
            () = history.broken() => {}
            () = act(plan, origin, &history) => history.end(),
        }
        history
    });
    let (steps, hash, timeline, violation) = history.outcome();
    Outcome { seed: plan.seed, steps, hash, timeline, violation }
}

async fn act(plan: &Plan, origin: Origin, history: &History) {
    let seed = plan.seed;
    let link = |name: &str| Link::new(Quality::near(), seed.dice(&format!("link/{name}")));
    let uptime =
        |name: &str| Duration::from_secs(seed.dice(&format!("uptime/{name}")).within(30..=1_000_000));
    let server_disk = SimDisk::default();
    let server_clock = SimClock::new(origin, uptime("server"));
    let server = ServerSite::new(seed, history.clone(), server_clock, server_disk);
    let (clients, witness) = (link("client"), link("witness"));
    let reconciler = ReconcilerSite {
        seed,
        history: history.clone(),
        server: server.clone(),
        link: link("reconciler"),
        orders: Orders::default(),
    };
    let node_links: Vec<Link> = (0..plan.nodes).map(|node| link(&node_name(node))).collect();
    let mut links = vec![clients.clone(), witness.clone(), reconciler.link.clone()];
    links.extend(node_links.iter().cloned());

    let mut parts = JoinSet::new();
    parts.spawn(server.clone().run(links));
    let (_, admin, _) = server.up().await;
    let caller = Caller::new(seed, history.clone(), &server, &clients, &admin);
    parts.spawn(reconciler.clone().run());
    parts.spawn(watch_everything(seed, history.clone(), server.clone(), witness.clone(), admin));

    let zones: Vec<&str> = scenario::ZONES.to_vec();
    let token = json!({"role": "node", "allowedLabels": {scenario::ZONE: zones}});
    let token: Value = match caller.call("POST", "/apis/drover.dev/v1/tokens", &token).await {
        Ok(token) => token,
        Err(error) => {
            history.step(Part::Client, Event::Fault(format!("no join token: {error}")));
            return;
        }
    };
    let join_token = token["token"].as_str().unwrap_or_default().to_owned();
    let mut nodes = Vec::new();
    for (node, link) in node_links.into_iter().enumerate() {
        let name = node_name(node);
        let clock = SimClock::new(origin, uptime(&name));
        let disk = SimDisk::default();
        let host =
            SimHost::new(node, seed, clock.clone(), std::sync::Arc::new(disk.clone()), history.clone());
        let zone = scenario::ZONES[node % scenario::ZONES.len()];
        let site = NodeSite {
            seed,
            history: history.clone(),
            node,
            clock,
            disk,
            host,
            server: server.clone(),
            link,
            join_token: join_token.clone(),
            labels: BTreeMap::from([(scenario::ZONE.to_owned(), zone.to_owned())]),
            orders: Orders::default(),
        };
        parts.spawn(site.clone().run());
        nodes.push(site);
    }
    let history = history.clone();
    let stage = Stage { origin, history, server, reconciler, nodes, caller, clients, witness };
    let lasting = scenario::play(&stage, &plan.script()).await;
    tokio::time::sleep(plan.time.saturating_sub(origin.elapsed())).await;
    drop(lasting);
    stage.quiet();
    tokio::time::sleep(plan.quiet).await;
}

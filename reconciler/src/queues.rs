//! The queues of all controllers, and what their keys are.

use std::sync::Arc;

use drover_client::{Key, QueueOptions, WorkQueue};
use drover_types::Kind;
use drover_world::Entropy;

use crate::options::Options;

/// A key of the workload controller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WorkloadKey {
    /// All of them: nodes came, went or changed what placement looks at.
    All,
    /// Those with a `count`: the readiness of nodes changed.
    Counted,
    /// One.
    One(Kind, Key),
}

/// One thing, or everything there is of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    /// Everything.
    All,
    /// The one of this name.
    One(String),
}

/// The Runs of one workload on one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    /// The workload's uid.
    pub(crate) workload: String,
    /// The node's name.
    pub(crate) node: String,
}

/// All queues.
pub(crate) struct Queues {
    pub(crate) workloads: WorkQueue<WorkloadKey>,
    pub(crate) assignments: WorkQueue<Key>,
    pub(crate) runs: WorkQueue<Key>,
    pub(crate) history: WorkQueue<Slot>,
    pub(crate) nodes: WorkQueue<Which>,
    pub(crate) pools: WorkQueue<Which>,
    pub(crate) namespaces: WorkQueue<String>,
    pub(crate) garbage: WorkQueue<(Kind, Key)>,
    pub(crate) events: WorkQueue<Key>,
    pub(crate) expiry: WorkQueue<()>,
}

impl Queues {
    pub(crate) fn new(options: &Options, entropy: &Arc<dyn Entropy>) -> Self {
        let bounds = QueueOptions {
            capacity: options.queue_capacity,
            max_backoff: options.max_backoff,
            ..QueueOptions::default()
        };
        Self {
            workloads: WorkQueue::new(bounds, Arc::clone(entropy)),
            assignments: WorkQueue::new(bounds, Arc::clone(entropy)),
            runs: WorkQueue::new(bounds, Arc::clone(entropy)),
            history: WorkQueue::new(bounds, Arc::clone(entropy)),
            nodes: WorkQueue::new(bounds, Arc::clone(entropy)),
            pools: WorkQueue::new(bounds, Arc::clone(entropy)),
            namespaces: WorkQueue::new(bounds, Arc::clone(entropy)),
            garbage: WorkQueue::new(bounds, Arc::clone(entropy)),
            events: WorkQueue::new(bounds, Arc::clone(entropy)),
            expiry: WorkQueue::new(bounds, Arc::clone(entropy)),
        }
    }

    /// Lets every worker go once it is done.
    pub(crate) fn close(&self) {
        self.workloads.close();
        self.assignments.close();
        self.runs.close();
        self.history.close();
        self.nodes.close();
        self.pools.close();
        self.namespaces.close();
        self.garbage.close();
        self.events.close();
        self.expiry.close();
    }
}

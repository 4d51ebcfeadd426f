//! The Assignment of a workload on a node: its name, owner, labels and spec.

use drover_types::kinds::assignment::{AssignmentSpec, FINALIZER, WorkloadRef};
use drover_types::kinds::placement::Placement;
use drover_types::kinds::task::TaskMode;
use drover_types::kinds::{Assignment, Node, Service, Task, Timer};
use drover_types::{API_VERSION, Duration, Kind, ObjectMeta, OwnerReference};
use sha2::{Digest as _, Sha256};

/// Label: kind of the workload.
pub const KIND_LABEL: &str = "drover.dev/workload-kind";
/// Label: name of the workload, shortened where it is no label value.
pub const NAME_LABEL: &str = "drover.dev/workload-name";
/// Label: name of the node, shortened where it is no label value.
pub const NODE_LABEL: &str = "drover.dev/node";

/// Annotation: how long a node that has not seen the newest spec may go on by the one it has; `unbounded`: for ever.
pub const HELD_FOR_ANNOTATION: &str = "drover.dev/held-for";
const UNBOUNDED: &str = "unbounded";

/// Longest part of a workload's name in the name of its Assignments.
const NAME_PART: usize = 40;
/// Longest label value.
const LABEL_VALUE: usize = 63;
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Something that is placed on nodes.
#[derive(Clone, Copy, Debug)]
pub enum Workload<'a> {
    /// A Timer.
    Timer(&'a Timer),
    /// A Task; only one of mode Once is ever placed.
    Task(&'a Task),
    /// A Service.
    Service(&'a Service),
}

impl<'a> Workload<'a> {
    /// Its metadata.
    pub fn metadata(self) -> &'a ObjectMeta {
        match self {
            Self::Timer(w) => &w.metadata,
            Self::Task(w) => &w.metadata,
            Self::Service(w) => &w.metadata,
        }
    }

    /// Its kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Timer(_) => Kind::Timer,
            Self::Task(_) => Kind::Task,
            Self::Service(_) => Kind::Service,
        }
    }

    /// Where it is wanted; `None` is everywhere.
    pub fn placement(self) -> Option<&'a Placement> {
        match self {
            Self::Timer(w) => w.spec.placement.as_ref(),
            Self::Task(w) => w.spec.placement.as_ref(),
            Self::Service(w) => w.spec.placement.as_ref(),
        }
    }

    /// Whether it is placed at all: an OnDemand Task only begets children that are.
    pub fn is_placed(self) -> bool {
        match self {
            Self::Timer(_) | Self::Service(_) => true,
            Self::Task(task) => is_once(task),
        }
    }

    /// How long its processes get to end.
    pub fn grace(self) -> Duration {
        let process = match self {
            Self::Timer(w) => &w.spec.template.process,
            Self::Task(w) => &w.spec.template.process,
            Self::Service(w) => &w.spec.template.process,
        };
        process.termination_grace_period.unwrap_or(DEFAULT_GRACE)
    }
}

/// Whether a Task runs by itself: `mode` says so, or it is absent and there are no parameters to be called with.
pub fn is_once(task: &Task) -> bool {
    match task.spec.mode {
        Some(TaskMode::Once) => true,
        Some(TaskMode::OnDemand) => false,
        None => task.spec.params.is_empty(),
    }
}

fn digest(workload_uid: &str, node_uid: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(workload_uid);
    hash.update([0]);
    hash.update(node_uid);
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rank of a node for a workload; the lowest wins. It moves nothing when other nodes come and go.
pub(crate) fn rank(workload_uid: &str, node_uid: &str) -> u64 {
    digest(workload_uid, node_uid)[8..16].iter().fold(0, |rank, byte| (rank << 8) | u64::from(*byte))
}

/// The name of the Assignment of a workload on a node, the same whoever asks. A Node that was deleted and came
/// back under its name is another node and gets another Assignment.
pub fn assignment_name(workload: &ObjectMeta, node: &ObjectMeta) -> String {
    let part = workload.name.get(..NAME_PART).unwrap_or(&workload.name).trim_end_matches(['-', '.']);
    format!("{part}-{}", hex(&digest(&workload.uid, &node.uid)[..6]))
}

/// Whether the name of an Assignment was made of these two uids.
pub(crate) fn bears_identity(name: &str, workload_uid: &str, node_uid: &str) -> bool {
    name.ends_with(&hex(&digest(workload_uid, node_uid)[..6]))
}

/// Whether an Assignment is for this Node, and not for an earlier one of the same name.
pub fn is_for(assignment: &Assignment, node: &Node) -> bool {
    assignment.spec.node_name == node.metadata.name
        && bears_identity(&assignment.metadata.name, &assignment.spec.workload_ref.uid, &node.metadata.uid)
}

/// A name as a label value: itself, or its beginning and a hash where it is too long.
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_VALUE {
        return name.to_owned();
    }
    let part = name.get(..50).unwrap_or(name).trim_end_matches(['-', '.']);
    format!("{part}-{}", hex(&digest(name, "")[..6]))
}

/// Lease and grace: how long after its last heartbeat a node that acts on this spec may have it alive.
fn promised(spec: &AssignmentSpec) -> Option<Duration> {
    let templates = [
        spec.timer.as_ref().map(|s| &s.template),
        spec.task.as_ref().map(|s| &s.template),
        spec.service.as_ref().map(|s| &s.template),
    ];
    let grace = templates.into_iter().flatten().find_map(|t| t.process.termination_grace_period);
    let total = spec.lease?.as_millis().saturating_add(grace.unwrap_or(DEFAULT_GRACE).as_millis());
    Some(Duration::from_millis(total))
}

/// How long after its last heartbeat a node may have an Assignment alive; `None`: as long as it likes. A node that
/// has not said that it acts on the newest spec goes by the longest lease that it may have been given.
pub fn held_for(assignment: &Assignment) -> Option<Duration> {
    let own = promised(&assignment.spec);
    let generation = assignment.metadata.generation.unwrap_or(0);
    if assignment.status.as_ref().is_some_and(|s| s.observed_generation >= generation) {
        return own;
    }
    match assignment.metadata.annotations.get(HELD_FOR_ANNOTATION) {
        Some(earlier) => Some(own?.max(earlier.parse().ok()?)),
        None => own,
    }
}

/// What a node is to do for a workload. What the last one, `held`, has from others (eviction, foreign metadata)
/// stays; an eviction ends when the node takes work again.
pub fn build(workload: Workload<'_>, node: &Node, held: Option<&Assignment>) -> Assignment {
    let owner = workload.metadata();
    let mut metadata = held.map(|a| a.metadata.clone()).unwrap_or_default();
    metadata.name = assignment_name(owner, &node.metadata);
    metadata.namespace.clone_from(&owner.namespace);
    let kind = workload.kind().names().kind;
    metadata.labels.insert(KIND_LABEL.into(), kind.into());
    metadata.labels.insert(NAME_LABEL.into(), label_value(&owner.name));
    metadata.labels.insert(NODE_LABEL.into(), label_value(&node.metadata.name));
    if held.is_none() {
        metadata.finalizers = vec![FINALIZER.into()];
        metadata.owner_references = vec![OwnerReference {
            api_version: API_VERSION.into(),
            kind: kind.into(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }];
    }
    let placement = workload.placement();
    let mut spec = AssignmentSpec {
        node_name: node.metadata.name.clone(),
        workload_ref: WorkloadRef {
            kind: kind.into(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            generation: owner.generation.unwrap_or(0),
        },
        node_labels: node.metadata.labels.clone(),
        lease: placement.filter(|p| p.count.is_some()).and_then(|p| p.failover_after),
        evicted: held.and_then(|a| a.spec.evicted).filter(|_| node.spec.unschedulable == Some(true)),
        ..AssignmentSpec::default()
    };
    match workload {
        Workload::Timer(w) => {
            let mut inner = w.spec.clone();
            inner.placement = None;
            spec.timer = Some(Box::new(inner));
        }
        Workload::Task(w) => {
            let mut inner = w.spec.clone();
            inner.placement = None;
            spec.task = Some(Box::new(inner));
        }
        Workload::Service(w) => {
            let mut inner = w.spec.clone();
            inner.placement = None;
            spec.service = Some(Box::new(inner));
        }
    }
    if let Some(before) = held.map(held_for)
        && let Some(after) = promised(&spec)
        && before.is_none_or(|before| before > after)
    {
        let longest = before.map_or_else(|| UNBOUNDED.to_owned(), |before| before.to_string());
        metadata.annotations.insert(HELD_FOR_ANNOTATION.into(), longest);
    }
    Assignment {
        api_version: API_VERSION.into(),
        kind: Kind::Assignment.names().kind.into(),
        metadata,
        spec,
        status: held.and_then(|a| a.status.clone()),
    }
}

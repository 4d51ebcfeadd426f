//! Assignment: one workload on one node. The reconciler writes spec, the node's agent writes status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::ServiceSpec;
use super::task::TaskSpec;
use super::timer::TimerSpec;
use crate::{Condition, Duration, meta::Object};

/// An Assignment object.
pub type Assignment = Object<AssignmentSpec, AssignmentStatus>;

/// The finalizer that keeps a deleted Assignment until its agent reports the processes ended.
pub const FINALIZER: &str = "drover.dev/node";

// Boxed, as two of the three are not there.
/// One workload as one node has to do it: exactly one of `timer`, `task`, `service`, with `placement` removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentSpec {
    /// The node.
    pub node_name: String,
    /// The workload.
    pub workload_ref: WorkloadRef,
    /// Labels of the node when this was written, for `valueFrom.fieldRef` and substitution.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_labels: BTreeMap<String, String>,
    /// A Timer's spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Box<TimerSpec>>,
    /// A Once Task's spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<TaskSpec>>,
    /// A Service's spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Box<ServiceSpec>>,
    /// The lease of a workload that may move (`placement.failoverAfter`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
    /// Drained: the agent ends it and arms no tick until this is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evicted: Option<bool>,
}

/// A workload by identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadRef {
    /// Timer, Task or Service.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The generation this Assignment was made from.
    pub generation: i64,
}

/// What the node made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignmentStatus {
    /// The generation of the Assignment that the agent acts on.
    pub observed_generation: i64,
    /// Runs alive now.
    pub active: u32,
    /// Service: replicas that run.
    pub ready: u32,
    /// Service: restarts so far.
    pub restarts: u64,
    /// Timer: the last tick that was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Timestamp>,
    /// The last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Timestamp>,
    /// Timer: the next tick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Timestamp>,
    /// The phase of the last finished run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_phase: Option<super::run::RunPhase>,
    /// Task: how it ended here for good, after its last retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<super::run::RunPhase>,
    /// Task: when its first attempt started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// Task: when it ended for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// Ticks refused by policy or missed, since the Assignment came.
    pub skipped: u64,
    /// Ready, ConfigMissing, NodeUnreachable, ...
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

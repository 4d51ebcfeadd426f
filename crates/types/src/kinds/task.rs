//! Task: a command run to completion, once on every chosen node or on demand.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::Placement;
use super::template::{ParamValues, Template};
use crate::{Condition, Duration, meta::Object};

/// A Task object.
pub type Task = Object<TaskSpec, TaskStatus>;

/// What is run, where, and how it is called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// Absent: OnDemand if `params` is set, else Once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TaskMode>,
    /// What a caller may or must pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub params: Vec<Param>,
    /// The values a child was called with. Only the server writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_values: Option<ParamValues>,
    /// Calls that agree in this text, after substitution of `$(params.x)`, are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// How long a finished child is remembered for that; default 7d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_window: Option<Duration>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Removes Assignments and Runs this long after the end, and the Task too if it is a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<Duration>,
    /// What is run.
    pub template: Template,
}

/// How a Task is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaskMode {
    /// Now, once on each chosen node.
    Once,
    /// By call.
    OnDemand,
}

/// One parameter of an OnDemand Task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Param {
    /// Letters, digits and `_`; not starting with a digit.
    pub name: String,
    /// Default string.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<ParamType>,
    /// Whether a call without it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Its value where the call has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// Its only values.
    #[serde(rename = "enum", default, skip_serializing_if = "Vec::is_empty")]
    pub enum_: Vec<serde_json::Value>,
}

/// Type of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Any text.
    #[default]
    String,
    /// A 64-bit integer.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// A Task over the fleet: counted, not listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskStatus {
    /// The generation this was said of.
    pub observed_generation: i64,
    /// Nodes chosen.
    pub desired: u32,
    /// Nodes on which it runs now.
    pub active: u32,
    /// Nodes on which it succeeded.
    pub succeeded: u32,
    /// Nodes on which it failed for good.
    pub failed: u32,
    /// When the first node started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When the last node finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// Ready, Complete, Failed, Reconciling, Stalled.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

//! Run: one attempt of one execution of one process. The node's agent makes it and writes it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assignment::WorkloadRef;
use crate::{Condition, ConditionStatus, meta::Object};

/// A Run object.
pub type Run = Object<RunSpec, RunStatus>;

/// What was to be done, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunSpec {
    /// The node.
    pub node_name: String,
    /// The workload.
    pub workload_ref: WorkloadRef,
    /// Name of the Assignment.
    pub assignment_ref: String,
    /// What started it.
    pub trigger: Trigger,
    /// 1 for the first attempt of an execution.
    pub attempt: u32,
    /// Service: which replica, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
}

/// What started a run, and for which instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Trigger {
    /// What started it.
    #[serde(rename = "type")]
    pub type_: TriggerType,
    /// The tick it belongs to, or when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// What can start a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerType {
    /// A Timer's tick.
    #[default]
    Schedule,
    /// A missed tick, caught up.
    CatchUp,
    /// `drover trigger`.
    Manual,
    /// A Task's Assignment.
    Task,
    /// A Service that must run.
    Service,
}

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// Claimed; not started yet (waits for lane or mutex, or is being started).
    #[default]
    Pending,
    /// Its process lives.
    Running,
    /// Exit code 0.
    Succeeded,
    /// Another exit code, a signal, or it could not be started.
    Failed,
    /// Ended because it ran into `timeout`.
    TimedOut,
    /// Nobody knows how it ended.
    Lost,
    /// Refused by policy; `reason` says which.
    Skipped,
}

impl RunPhase {
    /// Whether nothing more will happen to the run.
    pub fn is_finished(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Lost | Self::Skipped => true,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    /// The generation that this was said of. A Run's spec never changes, so there is only one.
    pub observed_generation: i64,
    /// Where it is in its life.
    pub phase: RunPhase,
    /// The process id on its node, while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its exit code, if it exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it, as `SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// When its process was executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The end of its output, 4 KiB at most, invalid UTF-8 replaced.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output_tail: String,
    /// CamelCase word: why it is in this phase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Ready, NodeUnreachable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl RunStatus {
    /// Says in the standard form whether the run's process lives: condition Ready, since `at` if that has changed.
    pub fn say_ready(&mut self, at: Timestamp) {
        let lives = self.phase == RunPhase::Running;
        self.observed_generation = 1;
        let next = Condition {
            type_: "Ready".into(),
            status: if lives { ConditionStatus::True } else { ConditionStatus::False },
            observed_generation: Some(1),
            last_transition_time: at,
            reason: format!("{:?}", self.phase),
            message: self.message.clone(),
        };
        Condition::set(&mut self.conditions, next);
    }
}

/// What a finished process and its children used, by `wait4`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// CPU time in user mode, in microseconds.
    pub user_micros: u64,
    /// CPU time in the kernel, in microseconds.
    pub system_micros: u64,
    /// Largest resident set of one process, in bytes.
    pub max_rss_bytes: u64,
}

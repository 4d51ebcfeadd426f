//! Timer: when to run a template, where, and what to do about overlap and missed ticks.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::Placement;
use super::template::Template;
use crate::{Condition, Duration, meta::Object};

/// A Timer object.
pub type Timer = Object<TimerSpec, TimerStatus>;

/// Exactly one of `every`, `cron`, `at` and `onBoot`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerSpec {
    /// At multiples of this period since the Unix epoch, plus the node's splay. At least 100ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// Five or six fields, or `@daily` and its kin; `L`, `#` and `W` are understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Once, at this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Once per boot of the node, never for a boot before the Assignment first arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_boot: Option<bool>,
    /// IANA zone in which `cron` is read; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What `cron` does on the two special nights; default by the shape of its hour field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<Dst>,
    /// A stable offset per node in `[0, splay)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splay: Option<Duration>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// What a tick does while an earlier execution lives on that node; default Forbid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,
    /// What becomes of ticks missed while the agent or host was down; default Skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    /// How late a tick may start at most. Absent: any lateness for a tick that was claimed or queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline: Option<Duration>,
    /// Arms no tick while true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Successful runs kept per node; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful_runs_history_limit: Option<u32>,
    /// Other finished runs kept per node; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_runs_history_limit: Option<u32>,
    /// What is run.
    pub template: Template,
}

/// What a cron schedule does when the clocks change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Dst {
    /// Follows elapsed time: fires in both halves of a repeated hour, not in a skipped one.
    Elapsed,
    /// Follows the wall: a skipped time fires at the jump, a repeated one once.
    Wall,
}

/// What a tick does while an earlier execution lives on that node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Starts beside it.
    Allow,
    /// Is Skipped, and never caught up.
    #[default]
    Forbid,
    /// Ends it and takes its place.
    Replace,
    /// Waits for it; at most 100 wait.
    Queue,
}

/// What becomes of ticks missed while the agent or host was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CatchUp {
    /// Nothing.
    #[default]
    Skip,
    /// The latest is run.
    Once,
    /// All are run, oldest first, at most 100; the rest is reported.
    All,
}

/// A Timer over the fleet: counted, not listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TimerStatus {
    /// The generation this was said of.
    pub observed_generation: i64,
    /// Nodes that should have it.
    pub desired: u32,
    /// Nodes that have armed it.
    pub ready: u32,
    /// Nodes whose last finished run did not succeed.
    pub failing: u32,
    /// Runs alive now.
    pub active: u32,
    /// The latest tick that started anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Timestamp>,
    /// The latest success anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Timestamp>,
    /// The next tick anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Timestamp>,
    /// Ready, Reconciling, Stalled.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

//! Service: processes kept running.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::Placement;
use super::template::Template;
use crate::{Condition, Duration, meta::Object};

/// A Service object.
pub type Service = Object<ServiceSpec, ServiceStatus>;

/// What is kept running, where, how many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Processes per chosen node; default 1, at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// What follows an exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// What is run.
    pub template: Template,
}

/// What follows an exit of a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Restart {
    /// Default Always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<RestartPolicy>,
    /// Wait before the second restart, doubled for each further one; the first is immediate. Default 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
    /// The longest wait; default 1m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<Duration>,
}

/// After which exits a replica is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicy {
    /// After every one.
    #[default]
    Always,
    /// After every one but exit code 0.
    OnFailure,
    /// After none.
    Never,
}

/// A Service over the fleet: counted, not listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// The generation this was said of.
    pub observed_generation: i64,
    /// Processes that should run: chosen nodes times replicas.
    pub desired: u32,
    /// Processes that run.
    pub ready: u32,
    /// Processes that wait for a restart or could not be started.
    pub failing: u32,
    /// Restarts since the Assignments were made.
    pub restarts: u64,
    /// Ready, Available, Progressing, Reconciling, Stalled.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

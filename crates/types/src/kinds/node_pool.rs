//! NodePool: how the hosts of a selector are treated.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Condition, Duration, meta::Object};

/// A NodePool object.
pub type NodePool = Object<NodePoolSpec, NodePoolStatus>;

/// Which nodes, and how they are treated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePoolSpec {
    /// Nodes that bear all these labels; empty: every node.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// At most so many runs of a lane at once on one node.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<String, u32>,
    /// How long after a disconnect a node is no longer Ready; default 1m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_after: Option<Duration>,
    /// The pool that counts where several match: the highest, then the first by name. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

/// A pool, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePoolStatus {
    /// The generation this was said of.
    pub observed_generation: i64,
    /// Nodes in the pool.
    pub nodes: u32,
    /// Of those, Ready ones.
    pub ready: u32,
    /// Ready.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

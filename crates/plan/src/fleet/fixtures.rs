//! Small objects for this module's tests.

use drover_types::kinds::core::{NodeSpec, NodeStatus};
use drover_types::kinds::node_pool::NodePoolSpec;
use drover_types::kinds::{Node, NodePool};
use drover_types::{API_VERSION, ObjectMeta};
use jiff::Timestamp;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn meta(name: &str) -> ObjectMeta {
    ObjectMeta { name: name.into(), uid: format!("uid-{name}"), generation: Some(1), ..ObjectMeta::default() }
}

pub(crate) fn node(name: &str) -> Node {
    Node {
        api_version: "v1".into(),
        kind: "Node".into(),
        metadata: meta(name),
        spec: NodeSpec::default(),
        status: Some(NodeStatus::default()),
    }
}

pub(crate) fn pool(name: &str) -> NodePool {
    NodePool {
        api_version: API_VERSION.into(),
        kind: "NodePool".into(),
        metadata: meta(name),
        spec: NodePoolSpec::default(),
        status: None,
    }
}

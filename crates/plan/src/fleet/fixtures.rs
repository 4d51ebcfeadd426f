//! Small objects for this module's tests.

use drover_types::kinds::core::{NodeSpec, NodeStatus};
use drover_types::kinds::node_pool::NodePoolSpec;
use drover_types::kinds::service::ServiceSpec;
use drover_types::kinds::task::TaskSpec;
use drover_types::kinds::{Node, NodePool, Service, Task};
use drover_types::{API_VERSION, Condition, ConditionStatus, ObjectMeta};
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

pub(crate) fn service(name: &str) -> Service {
    Service {
        api_version: API_VERSION.into(),
        kind: "Service".into(),
        metadata: meta(name),
        spec: ServiceSpec::default(),
        status: None,
    }
}

pub(crate) fn task(name: &str) -> Task {
    Task {
        api_version: API_VERSION.into(),
        kind: "Task".into(),
        metadata: meta(name),
        spec: TaskSpec::default(),
        status: None,
    }
}

pub(crate) fn condition(type_: &str, status: ConditionStatus, since: i64) -> Condition {
    Condition {
        type_: type_.into(),
        status,
        observed_generation: None,
        last_transition_time: at(since),
        reason: "Test".into(),
        message: String::new(),
    }
}

pub(crate) fn ready_node(name: &str) -> Node {
    let mut node = node(name);
    node.status = Some(NodeStatus {
        conditions: vec![condition("Ready", ConditionStatus::True, 0)],
        ..NodeStatus::default()
    });
    node
}

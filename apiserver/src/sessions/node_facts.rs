//! What a Node shows of its host and of its session. Pure: an old Node and news make a new Node.
//!
//! Only what the apiserver owns is touched: session, facts, addresses, capacity, and two labels where they are
//! absent. Conditions and pool are the reconciler's.

use drover_types::kinds::Node;
use drover_types::kinds::core::{NodeAddress, NodeInfo, NodeSession};
use drover_wire::{Hello, NodeFacts};
use jiff::Timestamp;

/// Labels that the server sets where nobody did.
const OS: &str = "kubernetes.io/os";
const ARCH: &str = "kubernetes.io/arch";

/// The architecture as Kubernetes calls it.
fn architecture(kernel: &str) -> &str {
    match kernel {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The session as it is from `now` on.
pub(crate) fn session(server_id: &str, connected: bool, now: Timestamp) -> NodeSession {
    NodeSession { server_id: server_id.to_owned(), connected, changed_at: Some(now) }
}

/// Puts what an agent said of its host into its Node.
pub(crate) fn describe(node: &mut Node, facts: &NodeFacts) {
    for (label, value) in [(OS, "linux"), (ARCH, architecture(&facts.arch))] {
        if drover_types::validate::names::is_label_value(value) && !value.is_empty() {
            node.metadata.labels.entry(label.into()).or_insert_with(|| value.into());
        }
    }
    let status = node.status.get_or_insert_default();
    let address =
        |type_: &str, address: &String| NodeAddress { type_: type_.into(), address: address.clone() };
    status.addresses = facts.addresses.iter().map(|given| address("InternalIP", given)).collect();
    if !facts.hostname.is_empty() {
        status.addresses.push(address("Hostname", &facts.hostname));
    }
    status.capacity.insert("cpu".into(), facts.cpus.to_string());
    status.capacity.insert("memory".into(), format!("{}Ki", facts.memory_bytes / 1024));
    status.allocatable = status.capacity.clone();
    let info = status.node_info.get_or_insert_default();
    info.kernel_version.clone_from(&facts.kernel);
    info.os_image.clone_from(&facts.os);
    info.operating_system = "linux".into();
    info.architecture = architecture(&facts.arch).to_owned();
    info.time_zone_data.clone_from(&facts.tzdb_version);
}

/// Puts what an agent says of itself as it connects into its Node.
pub(crate) fn greet(node: &mut Node, hello: &Hello) {
    describe(node, &hello.facts);
    let info: &mut NodeInfo = node.status.get_or_insert_default().node_info.get_or_insert_default();
    info.boot_id.clone_from(&hello.boot_id);
    info.kubelet_version.clone_from(&hello.agent_version);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn facts_touch_nothing_that_others_own() {
        let bare =
            serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {}});
        let mut node: Node = serde_json::from_value(bare).unwrap();
        node.metadata.labels = BTreeMap::from([(OS.to_owned(), "mine".to_owned())]);
        node.status.get_or_insert_default().pool = Some("edge".into());
        let facts = NodeFacts {
            arch: "x86_64".into(),
            cpus: 4,
            memory_bytes: 8 << 30,
            hostname: "h".into(),
            addresses: vec!["10.0.0.1".into()],
            ..NodeFacts::default()
        };
        describe(&mut node, &facts);
        assert_eq!(node.metadata.labels[OS], "mine");
        assert_eq!(node.metadata.labels[ARCH], "amd64");
        let status = node.status.clone().unwrap();
        assert_eq!(status.pool.as_deref(), Some("edge"));
        assert_eq!(status.capacity["memory"], "8388608Ki");
        assert_eq!(status.addresses.len(), 2);
        let before = node.clone();
        describe(&mut node, &facts);
        assert_eq!(node, before, "the same facts change nothing");
    }
}

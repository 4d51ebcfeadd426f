//! The kinds that keep their Kubernetes shape: Namespace, Node, Secret, ConfigMap, Event and Lease.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Object, ObjectMeta};
use crate::micro_time;

/// `v1` Namespace.
pub type Namespace = Object<NamespaceSpec, NamespaceStatus>;
/// `v1` Node: the host itself.
pub type Node = Object<NodeSpec, NodeStatus>;
/// `coordination.k8s.io/v1` Lease.
pub type Lease = Object<LeaseSpec, ()>;

/// What must happen before a namespace may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceSpec {
    /// Namespace finalizers; `kubernetes` until its content is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
}

/// Whether a namespace takes new objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: String,
    /// The generation this was said of.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Ready; NamespaceContentRemaining while it is Terminating.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What operators say of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Cordoned: no new Assignments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unschedulable: Option<bool>,
    /// What keeps workloads away that do not tolerate it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}

/// Keeps workloads away from a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; all but the second keep new Assignments away.
    pub effect: String,
    /// When it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_added: Option<Timestamp>,
}

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// The generation that the conditions were said of; written with them.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Ready, written by the reconciler alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The agent's session, written by the apiserver that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<NodeSession>,
    /// How it is reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub addresses: Vec<NodeAddress>,
    /// `cpu` and `memory`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, String>,
    /// What is left for runs; the same for now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: BTreeMap<String, String>,
    /// Facts under the names kubectl prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_info: Option<NodeInfo>,
    /// The pool whose settings it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// The session of a node's agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSession {
    /// Which server holds or held it.
    pub server_id: String,
    /// Whether it stands.
    pub connected: bool,
    /// When that last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

/// One address of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeAddress {
    /// `Hostname`, `InternalIP` or `ExternalIP`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The address.
    pub address: String,
}

/// Facts of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// `/etc/machine-id`.
    #[serde(rename = "machineID")]
    pub machine_id: String,
    /// Changes at every boot.
    #[serde(rename = "bootID")]
    pub boot_id: String,
    /// As `6.1.0`.
    pub kernel_version: String,
    /// As `Debian GNU/Linux 12`.
    pub os_image: String,
    /// `linux`.
    pub operating_system: String,
    /// As `amd64`.
    pub architecture: String,
    /// The agent's version.
    pub kubelet_version: String,
    /// Which time zone data its timers use.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone_data: String,
}

/// `v1` Secret. `data` is base64.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// `v1`.
    pub api_version: String,
    /// `Secret`.
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Default `Opaque`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Values in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// Values as text, for writing only; folded into `data`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub string_data: BTreeMap<String, String>,
    /// Refuses every later change of data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
}

/// `v1` ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    /// `v1`.
    pub api_version: String,
    /// `ConfigMap`.
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Values as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// Values in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub binary_data: BTreeMap<String, String>,
    /// Refuses every later change of data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
}

/// `v1` Event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// `v1`.
    pub api_version: String,
    /// `Event`.
    pub kind: String,
    /// Standard metadata.
    pub metadata: ObjectMeta,
    /// What it is about.
    pub involved_object: ObjectReference,
    /// CamelCase word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub type_: String,
    /// How often it happened.
    pub count: u32,
    /// When it first happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_timestamp: Option<Timestamp>,
    /// When it last happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_timestamp: Option<Timestamp>,
    /// When it happened, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", with = "micro_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub event_time: Option<Timestamp>,
    /// How often it happened, of one that went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<EventSeries>,
    /// Who says so.
    pub source: EventSource,
    /// Who says so, as `drover.dev/reconciler`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reporting_component: String,
    /// Which of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
    /// What was done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// What it is about, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<ObjectReference>,
}

/// How often something happened that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EventSeries {
    /// How often so far.
    pub count: u32,
    /// When it was last seen, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", with = "micro_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub last_observed_time: Option<Timestamp>,
}

/// Who reports an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EventSource {
    /// The part.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component: String,
    /// The node.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
}

/// An object by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// `group/version`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Revision it was seen at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// A part of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

/// Who holds a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSpec {
    /// The holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder_identity: Option<String>,
    /// How long it holds without a renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_duration_seconds: Option<i32>,
    /// When it was taken.
    #[serde(skip_serializing_if = "Option::is_none", with = "micro_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub acquire_time: Option<Timestamp>,
    /// When it was last renewed.
    #[serde(skip_serializing_if = "Option::is_none", with = "micro_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub renew_time: Option<Timestamp>,
    /// How often it changed hands: the fencing token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_transitions: Option<i32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

//! What an agent tells the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::{Bounded, MAX_ITEMS, MAX_LABELS, agent_epoch, at_most, name, text};
use crate::{Accepted, Version, WireError};

/// A control message from an agent. The first one of a session is the hello, and there is only one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AgentMessage {
    /// Who is there, and where it left off.
    Hello(Box<Hello>),
    /// What happened on the node.
    Report(Report),
    /// A whole desired state was stored.
    DesiredAck(DesiredAck),
    /// The answer to a trigger.
    TriggerResult(TriggerResult),
    /// The answer to a ping.
    Pong(Pong),
}

/// Who is there, and where it left off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The newest wire the agent speaks; one minor older is implied.
    pub wire: Version,
    /// The node's name.
    pub node_name: String,
    /// The node's uid, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_uid: Option<String>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The agent's own version.
    pub agent_version: String,
    /// The epoch of the store that the agent last heard from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_epoch: Option<String>,
    /// The desired revision it holds. The server sends what came after, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_revision: Option<u64>,
    /// Counts the agent's starts; orders reports across them.
    pub agent_epoch: u64,
    /// The uids of Runs that are not over, or whose end is still to be told. Of others nothing will be heard any more. Absent
    /// where they are too many to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_runs: Option<Vec<String>>,
    /// The last report of which that store said that it has it. One that does not is an older copy of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Accepted>,
    /// Labels for a Node that is yet to be created; ignored afterwards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the node is.
    pub facts: NodeFacts,
}

/// What the node is, as its agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeFacts {
    /// For example `Debian GNU/Linux 13`.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// For example `x86_64`.
    pub arch: String,
    /// How many processors may be used.
    pub cpus: u32,
    /// Physical memory.
    pub memory_bytes: u64,
    /// The host's own name.
    pub hostname: String,
    /// Addresses that are not loopback.
    pub addresses: Vec<String>,
    /// The version of the time zone database that timers on the node use.
    pub tzdb_version: String,
}

/// What happened on the node. Sent again after a reconnect until acknowledged; the server drops what it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The agent start that numbered it.
    pub agent_epoch: u64,
    /// Its number within that, without gaps, from 1.
    pub sequence: u64,
    /// In the order in which they happened.
    pub items: Vec<ReportItem>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReportItem {
    /// A Run as it is now.
    Run {
        /// The whole object.
        object: Value,
    },
    /// The status of an Assignment.
    AssignmentStatus(StatusReport),
    /// A deleted Assignment's processes have all ended: the server takes the finalizer `drover.dev/node` away.
    Ended(AssignmentIdentity),
    /// An Event.
    Event {
        /// The whole object.
        object: Value,
    },
    /// The node's facts changed.
    Node {
        /// All of them.
        facts: NodeFacts,
    },
}

/// An Assignment, told apart from a namesake that came before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentIdentity {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The status of an Assignment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The Assignment's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: a status of a deleted namesake is dropped.
    pub uid: String,
    /// Its whole status.
    pub status: Value,
}

/// A whole desired state was stored on the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredAck {
    /// Which.
    pub revision: u64,
}

/// What became of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerResult {
    /// The trigger's request id.
    pub request_id: String,
    /// The Run that it started or was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The answer to a ping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    /// The ping's nonce.
    #[serde(default)]
    pub nonce: u64,
}

impl Bounded for AgentMessage {
    fn check(&self) -> Result<(), WireError> {
        match self {
            Self::Hello(hello) => hello.check(),
            Self::Report(report) => {
                agent_epoch(report.agent_epoch)?;
                at_most("a report's items", report.items.len(), MAX_ITEMS)?;
                report.items.iter().try_for_each(Bounded::check)
            }
            Self::TriggerResult(result) => {
                name("a request id", &result.request_id)?;
                name("a run's name", result.run.as_deref().unwrap_or_default())?;
                text("a refusal", result.refused.as_deref().unwrap_or_default())
            }
            Self::DesiredAck(_) | Self::Pong(_) => Ok(()),
        }
    }
}

impl Bounded for Hello {
    fn check(&self) -> Result<(), WireError> {
        name("a node name", &self.node_name)?;
        name("a node uid", self.node_uid.as_deref().unwrap_or_default())?;
        name("a boot id", &self.boot_id)?;
        name("an agent version", &self.agent_version)?;
        name("a store epoch", self.store_epoch.as_deref().unwrap_or_default())?;
        agent_epoch(self.agent_epoch)?;
        let open = self.open_runs.as_deref().unwrap_or_default();
        at_most("a hello's open runs", open.len(), MAX_ITEMS)?;
        open.iter().try_for_each(|uid| name("a run's uid", uid))?;
        at_most("a hello's labels", self.labels.len(), MAX_LABELS)?;
        for (key, value) in &self.labels {
            name("a label key", key)?;
            name("a label value", value)?;
        }
        self.facts.check()
    }
}

impl Bounded for NodeFacts {
    fn check(&self) -> Result<(), WireError> {
        for fact in [&self.os, &self.kernel, &self.arch, &self.hostname, &self.tzdb_version] {
            name("a fact", fact)?;
        }
        at_most("a node's addresses", self.addresses.len(), MAX_LABELS)?;
        self.addresses.iter().try_for_each(|address| name("an address", address))
    }
}

fn identity(namespace: &str, object: &str, uid: &str) -> Result<(), WireError> {
    name("a namespace", namespace)?;
    name("a name", object)?;
    name("a uid", uid)
}

impl Bounded for ReportItem {
    fn check(&self) -> Result<(), WireError> {
        match self {
            Self::Run { .. } | Self::Event { .. } => Ok(()),
            Self::Node { facts } => facts.check(),
            Self::AssignmentStatus(report) => identity(&report.namespace, &report.name, &report.uid),
            Self::Ended(gone) => identity(&gone.namespace, &gone.name, &gone.uid),
        }
    }
}

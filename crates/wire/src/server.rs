//! What the server tells an agent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::{Bounded, agent_epoch, name, text};
use crate::{Desired, Version, WireError};

/// A control message from the server. The first one of a session is the welcome, or a close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerMessage {
    /// The session is on.
    Welcome(Welcome),
    /// What the node is to do; one chunk of it.
    Desired(Box<Desired>),
    /// Reports up to this one are stored.
    ReportAck(ReportAck),
    /// Are you there?
    Ping(Ping),
    /// Send a run's output on a new stream.
    OpenLogs(OpenLogs),
    /// Run a timer or task of the node now.
    Trigger(Trigger),
    /// The server ends the session.
    Close(Close),
}

/// The session is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The version both speak from here on.
    pub wire: Version,
    /// The node's uid.
    pub node_uid: String,
    /// The store's epoch. Another one than in the hello means that a full desired state follows.
    pub store_epoch: String,
    /// How often the server pings.
    pub heartbeat_interval_ms: u64,
    /// After how long without a session the node counts as unknown.
    pub offline_after_ms: u64,
    /// The highest report that is stored; the agent forgets what is not after it.
    pub accepted: Accepted,
}

/// A place in the order of a node's reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The agent start that numbered the report.
    pub agent_epoch: u64,
    /// Its number within that.
    pub sequence: u64,
}

/// Reports up to this one are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportAck {
    /// The agent start that numbered the report.
    pub agent_epoch: u64,
    /// Its number within that.
    pub sequence: u64,
}

/// Are you there?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// Comes back in the pong. Rises by one with each ping of a session, from 1.
    #[serde(default)]
    pub nonce: u64,
    /// The nonce of the last pong that came; 0 before the first. A lease counts from when that pong was sent.
    #[serde(default)]
    pub acknowledged: u64,
}

/// Send a run's output as data on this stream, then end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenLogs {
    /// The stream's id, chosen by the server, never 0 and not reused while open.
    pub stream: u32,
    /// The run's namespace.
    pub namespace: String,
    /// The run's name.
    pub run: String,
    /// The run's uid.
    pub uid: String,
    /// Go on until the run ends.
    #[serde(default)]
    pub follow: bool,
    /// Where to begin.
    #[serde(default)]
    pub start: LogStart,
    /// Begin each line with its time.
    #[serde(default)]
    pub timestamps: bool,
}

/// Where in a run's output to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogStart {
    /// With the oldest line still kept.
    #[default]
    Beginning,
    /// With the record of this number.
    Sequence(u64),
    /// With so many last lines.
    Tail(u64),
    /// With the first line at or after this time.
    Since(Timestamp),
}

/// Run a timer or task of the node now. A repeat with the same id does nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Names the request; part of the run's identity.
    pub request_id: String,
    /// Which Assignment.
    pub assignment_uid: String,
}

/// The server ends the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Close {
    /// Why, for people.
    pub reason: String,
    /// Not before so long: how a server spreads a stampede.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Bounded for ServerMessage {
    fn check(&self) -> Result<(), WireError> {
        match self {
            Self::Welcome(welcome) => {
                name("a node uid", &welcome.node_uid)?;
                agent_epoch(welcome.accepted.agent_epoch)?;
                name("a store epoch", &welcome.store_epoch)
            }
            Self::Desired(desired) => desired.check(),
            Self::OpenLogs(open) => {
                name("a namespace", &open.namespace)?;
                name("a run's name", &open.run)?;
                name("a run's uid", &open.uid)
            }
            Self::Trigger(trigger) => {
                name("a request id", &trigger.request_id)?;
                name("an assignment's uid", &trigger.assignment_uid)
            }
            Self::Close(close) => text("a reason", &close.reason),
            Self::ReportAck(_) | Self::Ping(_) => Ok(()),
        }
    }
}

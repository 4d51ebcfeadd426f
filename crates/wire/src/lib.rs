//! The agent session's frames, messages, credits and versions. Encode and decode only: no I/O and no clock.
//!
//! One WebSocket binary message is one [`Frame`]: `u32` stream id (big-endian), `u8` kind, payload. Stream 0
//! carries control messages ([`AgentMessage`] up, [`ServerMessage`] down) as JSON; every other stream is opened by
//! the server with a control message and carries bytes, in each direction only as far as the receiver gave credit.
//! Everything is bounded before it is parsed. Absent: compression, and streams that an agent opens.

mod agent;
mod credit;
mod desired;
mod error;
mod frame;
mod join;
mod limits;
mod server;
mod version;

pub use agent::{
    AgentMessage, AssignmentIdentity, DesiredAck, Hello, NodeFacts, Pong, Report, ReportItem, StatusReport,
    TriggerResult,
};
pub use credit::{ReceiveWindow, SendWindow};
pub use desired::{Assembler, Desired, Material, MaterialKind, MaterialRef, PoolSettings};
pub use error::WireError;
pub use frame::{Body, CONTROL_STREAM, EndStatus, Frame};
pub use join::{HOST_ID_DIGITS, JoinRequest, JoinResponse, is_host_id, join_path, session_path};
pub use limits::{
    Bounded, DEFAULT_WINDOW, MAX_AGENT_EPOCH, MAX_DATA, MAX_DESIRED, MAX_FRAME, MAX_ITEMS, MAX_LABELS,
    MAX_NAME, MAX_TEXT, MAX_WINDOW,
};
pub use server::{Accepted, Close, LogStart, OpenLogs, Ping, ReportAck, ServerMessage, Trigger, Welcome};
pub use version::{SUBPROTOCOL, Version, WIRE_VERSION, negotiate};

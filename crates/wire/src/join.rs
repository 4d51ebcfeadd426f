//! How a host becomes a node: it shows a join token once, and has a credential of its own from then on.
//!
//! Absent: certificates. The credential is a bearer token that names the node and is revoked with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a host joins as `node`: POST a [`JoinRequest`] with the join token as bearer.
pub fn join_path(node: &str) -> String {
    format!("/apis/drover.dev/v1/nodes/{node}/join")
}

/// Where the session of `node` is opened, as a WebSocket with [`crate::SUBPROTOCOL`] and the node's credential.
pub fn session_path(node: &str) -> String {
    format!("/apis/drover.dev/v1/nodes/{node}/session")
}

/// Length of a host id: 128 bits in lower-case hex.
pub const HOST_ID_DIGITS: usize = 32;

/// Whether this is a host id.
pub fn is_host_id(text: &str) -> bool {
    text.len() == HOST_ID_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A host asks to be a node. Its `Debug` form does not show the host id.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinRequest {
    /// What tells this host from every other: [`HOST_ID_DIGITS`] hex digits, made at random once. Whoever has it may
    /// take the place of the host that had it, so it is a secret.
    pub host_id: String,
    /// Labels for the Node, if it is new; only those that the join token allows.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// The host is a node.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinResponse {
    /// The Node's uid.
    pub node_uid: String,
    /// The node's own credential. Shown once; the server keeps its hash.
    pub token: String,
}

impl std::fmt::Debug for JoinResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinResponse").field("node_uid", &self.node_uid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_credential_nor_a_host_id_is_printed() {
        let response = JoinResponse { node_uid: "u".into(), token: "drk_secret".into() };
        assert!(!format!("{response:?}").contains("secret"));
        let request = JoinRequest { host_id: "0123456789abcdef".repeat(2), ..JoinRequest::default() };
        assert!(is_host_id(&request.host_id) && !format!("{request:?}").contains("0123"));
        for bad in ["", "0123", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert!(!is_host_id(bad), "{bad}");
        }
    }
}

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

/// A host asks to be a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinRequest {
    /// Labels for the Node, if it is new; only those that the join token allows.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
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
    fn a_credential_is_not_printed() {
        let response = JoinResponse { node_uid: "u".into(), token: "drk_secret".into() };
        assert!(!format!("{response:?}").contains("secret"));
    }
}

//! What makes this host the node that it is, in one 0600 file: uid, server, CA and the node's own token.

use std::fmt;
use std::io;
use std::path::Path;

use drover_world::Disk;
use serde::{Deserialize, Serialize};

const NAME: &str = "credential";
const MAX_BYTES: u64 = 64 << 10;

/// Who this node is to its server. Its `Debug` form shows no token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credential {
    pub(crate) node_name: String,
    pub(crate) node_uid: String,
    /// The `https://` URL that it joined at; empty for a server in the same process.
    pub(crate) server: String,
    pub(crate) ca_pem: String,
    pub(crate) token: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("node_name", &self.node_name)
            .field("node_uid", &self.node_uid)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Credential {
    /// The stored one; none before the host has joined.
    pub(crate) fn load(disk: &dyn Disk, data_dir: &Path) -> io::Result<Option<Self>> {
        match disk.read(&data_dir.join(NAME), MAX_BYTES) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn store(&self, disk: &dyn Disk, data_dir: &Path) -> io::Result<()> {
        disk.write_atomic(&data_dir.join(NAME), &serde_json::to_vec(self)?, 0o600)
    }
}

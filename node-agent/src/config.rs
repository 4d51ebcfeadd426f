//! What an agent is told at its start.

use std::path::PathBuf;

/// Who the agent is and where it keeps its state.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub node_name: String,
    /// The node's uid; part of the identity of every run.
    pub node_uid: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Where journal, desired state, secrets and run directories are; made with mode 0700.
    pub data_dir: PathBuf,
    /// `PATH` of every run that sets none of its own.
    pub search_path: String,
}

/// Where programs are looked for if the agent itself was started without a `PATH`.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

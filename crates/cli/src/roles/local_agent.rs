//! The agent of the server's own host, in the server's process. It sees the server as every agent does.

use std::path::Path;

use anyhow::{Context, Result};
use drover_apiserver::Server;
use drover_node_agent::{NodeOptions, ServerAddress, run_node};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::in_process;

/// A running local agent.
pub(crate) struct LocalAgent {
    pub(crate) node_name: String,
    stop: CancellationToken,
    running: JoinHandle<Result<(), drover_node_agent::NodeError>>,
}

impl LocalAgent {
    /// Makes the host a node, unless it is one, and starts its agent on `node/` in the data directory.
    pub(crate) async fn start(server: &Server, data_dir: &Path, name: Option<&str>) -> Result<Self> {
        let node_name = name.map_or_else(host_name, str::to_owned);
        let joined = server
            .join_local(&node_name)
            .await
            .with_context(|| format!("cannot make this host the node {node_name:?}"))?;
        let mut options = NodeOptions::new(
            ServerAddress::InProcess(in_process::dial(server)),
            &node_name,
            data_dir.join("node"),
        );
        options.credential = Some(joined);
        let stop = CancellationToken::new();
        let running = tokio::spawn(run_node(options, stop.clone().cancelled_owned()));
        Ok(Self { node_name, stop, running })
    }

    /// Ends the agent. What it runs goes on, and its next start finds it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.running.await??)
    }
}

/// The host's name as the name of a node.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let name: String = name.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

//! `drover agent` as a process, joined over TLS like any remote host.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::objects::NODES;
use super::server::Server;
use crate::processes::Running;
use crate::wait;

/// An agent, and where it keeps its state.
pub(crate) struct Agent {
    process: Running,
    pub(crate) name: String,
}

impl Agent {
    /// Starts one, and waits until its session is on.
    pub(crate) async fn start(drover: &Path, server: &Server, name: &str, dir: &Path) -> Result<Self> {
        let token_file = dir.join(format!("{name}.token"));
        std::fs::write(&token_file, server.api.join_token().await?)?;
        let data_dir: PathBuf = dir.join(name);
        let mut command = Command::new(drover);
        command
            .args(["agent", "--server", &server.url, "--node-name", name, "--token-file"])
            .arg(&token_file)
            .arg("--data-dir")
            .arg(&data_dir);
        let process = Running::start(&mut command, &dir.join(format!("{name}.log")))?;
        let agent = Self { process, name: name.to_owned() };
        agent.wait_connected(server, true).await?;
        Ok(agent)
    }

    async fn wait_connected(&self, server: &Server, wanted: bool) -> Result<()> {
        let path = format!("{NODES}/{}", self.name);
        wait::until("the agent's session", || async {
            let node: Option<Value> = server.api.client.get(&path).await.ok();
            let connected = node.as_ref().and_then(|node| node.pointer("/status/session/connected"));
            Ok(connected.and_then(Value::as_bool) == Some(wanted))
        })
        .await
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Ends the agent; what it started goes on.
    pub(crate) async fn stop(self, server: &Server) -> Result<()> {
        let Self { process, name } = self;
        process.stop()?;
        let gone = Self { process: Running::none(), name };
        gone.wait_connected(server, false).await
    }
}

//! `drover server` as a process on loopback, with a data directory on the disk that is measured.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::api::Api;
use crate::clock;
use crate::processes::Running;

/// A server that answers.
pub(crate) struct Server {
    process: Running,
    pub(crate) url: String,
    pub(crate) data_dir: PathBuf,
    /// From before its start to its first answer, in nanoseconds.
    pub(crate) ready_after: u64,
    pub(crate) api: Api,
}

impl Server {
    /// Starts one without an agent of its own, and waits until it answers over TLS.
    pub(crate) async fn start(drover: &Path, data_dir: &Path) -> Result<Self> {
        Self::start_on(drover, data_dir, "127.0.0.1:0").await
    }

    /// The same, on a given address.
    pub(crate) async fn start_on(drover: &Path, data_dir: &Path, listen: &str) -> Result<Self> {
        let log = data_dir.with_extension("log");
        let begun = clock::mono();
        let mut child = Command::new(drover)
            .arg("server")
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--listen", listen, "--no-agent"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::OpenOptions::new().create(true).append(true).open(&log)?)
            .spawn()
            .with_context(|| format!("starting {}", drover.display()))?;
        let told = child.stdout.take().context("a child without stdout")?;
        let process = Running::of(child);
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            bail!("the server does not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
        };
        let api = Api::new(url, data_dir)?;
        api.ready().await?;
        let ready_after = clock::mono() - begun;
        Ok(Self { process, url: url.to_owned(), data_dir: data_dir.to_owned(), ready_after, api })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("kubeconfig")
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("https://")
    }

    /// How many objects a collection has.
    pub(crate) async fn count(&self, path: &str) -> Result<u64> {
        let page: Value = self.api.client.get(&format!("{path}?limit=1")).await?;
        let rest = page.pointer("/metadata/remainingItemCount").and_then(Value::as_u64).unwrap_or(0);
        Ok(rest + page["items"].as_array().map_or(0, Vec::len) as u64)
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop()
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }
}

//! A server as a process of its own on a port that stays, to be killed and started again, and clients of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use drover_client::{Client, ClientConfig, Error, FromKubeconfig};
use drover_manifest::{Limits, decode_value};
use serde_json::{Value, json};

use crate::cluster::Process;
use crate::drover::{Said, drover};

pub(crate) const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Far above what anything takes; a test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server, where it lives and how it is started.
pub(crate) struct Hub {
    pub(crate) folder: tempfile::TempDir,
    /// The data directory, below the folder or elsewhere.
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    /// More of its environment.
    pub(crate) environment: Vec<(String, String)>,
    server: Option<Process>,
}

/// A port below those that connections are given, so that nothing else takes it while the server is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 18_000 + (std::process::id() as u16 % 400) * 30 + step;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Hub {
    /// One that is not started yet.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { folder, data, port: free_port(), environment: Vec::new(), server: None }
    }

    /// One that runs.
    pub(crate) fn running() -> Self {
        let mut hub = Self::new();
        hub.start();
        hub
    }

    fn spawn(&self) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.at("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_drover"))
            .args(["server", "--no-agent", "--listen", &format!("127.0.0.1:{}", self.port), "--data-dir"])
            .arg(&self.data)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let first = self.try_start();
        assert!(first.starts_with("listening on "), "{first:?}: {}", self.log());
    }

    /// Starts it; the first thing that it says, nothing if it ends without a word.
    pub(crate) fn try_start(&mut self) -> String {
        let mut child = self.spawn();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        self.server = Some(Process(child));
        first
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Stops it as an operator does, and waits until it is gone.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        let sent = Command::new("/bin/kill").args(["-TERM", &server.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert!(server.0.wait().unwrap().success(), "{}", self.log());
    }

    /// A path in the folder.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Bytes of memory that are its own or shared and resident.
    pub(crate) fn resident(&self) -> u64 {
        let pid = self.server.as_ref().unwrap().0.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// A client with the administrator's token, that does not wait long for what is gone.
    pub(crate) fn client(&self) -> Client {
        client(&self.data, None)
    }

    /// The same through another port.
    pub(crate) fn client_through(&self, port: u16) -> Client {
        client(&self.data, Some(port))
    }

    /// Runs `drover` in the folder against this server.
    pub(crate) fn drover(&self, args: &[&str]) -> Said {
        let kubeconfig = self.data.join("kubeconfig").display().to_string();
        drover(self.folder.path(), &[args, &["--kubeconfig", &kubeconfig]].concat())
    }
}

fn client(data: &Path, port: Option<u16>) -> Client {
    let text = fs::read_to_string(data.join("kubeconfig")).unwrap();
    let value = decode_value("kubeconfig", &text, &Limits::default()).unwrap();
    let read = |file: &Path| fs::read(data.join(file));
    let mut config =
        ClientConfig::from_kubeconfig(&value, &FromKubeconfig { context: None, read: &read }).unwrap();
    config.port = port.unwrap_or(config.port);
    Client::from_config(&config).unwrap()
}

/// A ConfigMap whose two values are the same: half of one would show.
pub(crate) fn config_map(name: &str, value: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"first": value, "second": value}})
}

/// Its value, if it is whole.
#[track_caller]
pub(crate) fn value_of(object: &Value) -> String {
    assert_eq!(object["data"]["first"], object["data"]["second"], "half an object: {object}");
    object["data"]["first"].as_str().unwrap().to_owned()
}

pub(crate) fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

pub(crate) fn revision_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn code(error: &Error) -> Option<u16> {
    error.api().map(|api| api.status.code)
}

/// All ConfigMaps, in the order of their names.
pub(crate) async fn config_maps(client: &Client) -> Vec<Value> {
    let listed = client.list::<Value>(CONFIGMAPS, &drover_client::ListOptions::default()).await.unwrap();
    listed.items
}

/// Waits for something that is bound to come.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

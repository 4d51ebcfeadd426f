//! A server and agents as processes of their own, to be killed and started again, and what can be asked of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lan::{HUB, Lan};

/// How long a condition may take to come true. Far above what it takes: only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(180);
const DROVER: &str = env!("CARGO_BIN_EXE_drover");

/// Waits until a condition holds.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a real cluster runs in real time")]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A process that is killed when this goes.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server and its agents. Fields go in this order: processes, then the network with what is left in it.
pub(crate) struct Cluster {
    pub(crate) server: Option<Process>,
    pub(crate) agents: Vec<Option<Process>>,
    token: String,
    labels: Vec<Vec<String>>,
    pub(crate) lan: Lan,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts a server, and an agent for each list of labels: `h0`, `h1`, ... All are Ready when this returns.
    pub(crate) fn start(labels: &[&[&str]]) -> Option<Self> {
        let lan = Lan::new(labels.len())?;
        let labels: Vec<Vec<String>> =
            labels.iter().map(|labels| labels.iter().map(|label| (*label).to_owned()).collect()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut cluster =
            Self { server: None, agents: Vec::new(), token: String::new(), labels, lan, folder };
        fs::create_dir(cluster.at("bin")).unwrap();
        cluster.start_server();
        let mut create = vec!["token", "create", "node"];
        for label in cluster.labels.iter().flatten() {
            create.extend(["--allow-label", label]);
        }
        let token = cluster.good(&create.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        cluster.token = token.trim().to_owned();
        for host in 0..cluster.labels.len() {
            cluster.agents.push(None);
            cluster.start_agent(host);
        }
        cluster.all_ready();
        Some(cluster)
    }

    /// A path in the cluster's folder.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Puts a program on the PATH of every host.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start_server(&mut self) {
        self.start_server_on("hub");
    }

    /// Starts a server on this data directory in the cluster's folder, and waits until it listens.
    pub(crate) fn start_server_on(&mut self, data_dir: &str) {
        let listen = format!("{HUB}:7443");
        let mut child = self
            .lan
            .in_hub(DROVER)
            .args(["server", "--no-agent", "--data-dir", data_dir, "--listen", &listen])
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(log(&self.at("server.log")))
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let said = || fs::read_to_string(self.at("server.log")).unwrap_or_default();
        assert!(first.starts_with("listening on "), "{first:?}\n{}", said());
        self.server = Some(Process(child));
    }

    /// Starts a host's agent.
    pub(crate) fn start_agent(&mut self, host: usize) {
        let (name, own) = (format!("h{host}"), format!("{}:", self.at("bin").display()));
        let url = format!("https://{HUB}:7443");
        let mut command = self.lan.in_host(host, DROVER);
        command.args(["agent", "--server", &url, "--node-name", &name, "--data-dir", &name]);
        for label in &self.labels[host] {
            command.args(["--label", label]);
        }
        let path = own + &std::env::var("PATH").unwrap();
        let child = command
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("DROVER_TOKEN", &self.token)
            .stdout(Stdio::null())
            .stderr(log(&self.at(&format!("{name}.log"))))
            .spawn()
            .unwrap();
        self.agents[host] = Some(Process(child));
    }

    /// `kill -9` of the server.
    pub(crate) fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// `kill -9` of a host's agent; what it runs lives on.
    pub(crate) fn kill_agent(&mut self, host: usize) {
        self.agents[host].take().unwrap().kill();
    }

    /// Waits until every agent has a session and every node is Ready.
    pub(crate) fn all_ready(&self) {
        eventually("every node is Ready and connected", || {
            let nodes = self.list("nodes");
            let connected = |node: &Value| {
                node.pointer("/status/session/connected") == Some(&true.into())
                    && condition(node, "Ready").is_some_and(|c| c["status"] == "True")
            };
            (nodes.len() >= self.labels.len() && nodes.iter().all(connected)).then_some(())
        });
    }

    /// Runs `drover` against the server.
    pub(crate) fn drover<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Begins to run `drover` against the server; its output is collected.
    pub(crate) fn begin<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command: Command = self.lan.in_hub(DROVER);
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("KUBECONFIG", "hub/kubeconfig").stdin(Stdio::null());
        command
    }

    /// The same, which must succeed; its stdout.
    #[track_caller]
    pub(crate) fn good<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(&self, arguments: &[S]) -> String {
        let output = self.drover(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "drover {arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// Applies a manifest.
    #[track_caller]
    pub(crate) fn apply(&self, manifest: &str) {
        fs::write(self.at("manifest.yaml"), manifest).unwrap();
        self.good(&["apply", "-f", "manifest.yaml"]);
    }

    /// All objects of a kind in all namespaces; none while the server is away.
    pub(crate) fn list(&self, kind: &str) -> Vec<Value> {
        let output = self.drover(&["get", kind, "-A", "-o", "json"]);
        let list: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// The runs of a workload.
    pub(crate) fn runs(&self, workload: &str) -> Vec<Value> {
        let mut runs = self.list("runs");
        runs.retain(|run| run["spec"]["workloadRef"]["name"] == workload);
        runs
    }

    /// What programs wrote down on a host, line by line.
    pub(crate) fn written(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|c| c["type"] == type_)
}

fn log(path: &Path) -> Stdio {
    fs::OpenOptions::new().create(true).append(true).open(path).unwrap().into()
}

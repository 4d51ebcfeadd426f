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
pub(crate) const DROVER: &str = env!("CARGO_BIN_EXE_drover");
/// Where the server listens.
pub(crate) const PORT: u16 = 7443;

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
    /// What the server is started with beyond the usual.
    pub(crate) server_arguments: Vec<String>,
    /// The program of agents that are started from here on.
    pub(crate) agent_program: PathBuf,
    /// What such an agent is started by: a program and its arguments, which end with the agent's own.
    pub(crate) agent_wrapper: Vec<String>,
    /// The port at which such an agent looks for the server.
    pub(crate) agent_port: u16,
    token: String,
    labels: Vec<Vec<String>>,
    pub(crate) lan: Lan,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts a server, and an agent for each list of labels: `h0`, `h1`, ... All are Ready when this returns.
    pub(crate) fn start(labels: &[&[&str]]) -> Option<Self> {
        Self::start_with(labels, &[], |_| {})
    }

    /// The same, with more arguments for the server, and something done when it listens and no agent has been started.
    pub(crate) fn start_with(
        labels: &[&[&str]],
        server_arguments: &[&str],
        before_agents: impl FnOnce(&mut Self),
    ) -> Option<Self> {
        let lan = Lan::new(labels.len())?;
        let labels: Vec<Vec<String>> =
            labels.iter().map(|labels| labels.iter().map(|label| (*label).to_owned()).collect()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            server: None,
            agents: Vec::new(),
            server_arguments: server_arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            agent_program: DROVER.into(),
            agent_wrapper: Vec::new(),
            agent_port: PORT,
            token: String::new(),
            labels,
            lan,
            folder,
        };
        fs::create_dir(cluster.at("bin")).unwrap();
        cluster.start_server();
        let mut create = vec!["token", "create", "node"];
        for label in cluster.labels.iter().flatten() {
            create.extend(["--allow-label", label]);
        }
        let token = cluster.good(&create.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        cluster.token = token.trim().to_owned();
        before_agents(&mut cluster);
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
        let listen = format!("{HUB}:{PORT}");
        let mut child = self
            .lan
            .in_hub(DROVER)
            .args(["server", "--no-agent", "--data-dir", "hub", "--listen", &listen])
            .args(&self.server_arguments)
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
        let url = format!("https://{HUB}:{}", self.agent_port);
        let mut words = self.agent_wrapper.iter().map(PathBuf::from).chain([self.agent_program.clone()]);
        let first = words.next().unwrap();
        let mut command = self.lan.in_host(host, first.to_str().unwrap());
        command.args(words);
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

    /// The process of a host's agent.
    pub(crate) fn agent_pid(&self, host: usize) -> u32 {
        self.agents[host].as_ref().unwrap().0.id()
    }

    /// Sends a signal to a host's agent.
    pub(crate) fn signal_agent(&self, host: usize, signal: &str) {
        signal_to(signal, self.agent_pid(host));
    }

    /// Asks a host's agent to end, and waits until it has; what it runs lives on.
    pub(crate) fn stop_agent(&mut self, host: usize) {
        self.signal_agent(host, "TERM");
        let ended = self.agents[host].take().unwrap().0.wait().unwrap();
        assert!(ended.success(), "the agent ended with {ended}");
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

    /// The runs of a workload that run.
    pub(crate) fn running(&self, workload: &str) -> Vec<Value> {
        let mut runs = self.runs(workload);
        runs.retain(|run| run["status"]["phase"] == "Running");
        runs
    }

    /// What programs wrote down on a host, line by line.
    pub(crate) fn written(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Sends a signal to a process.
#[track_caller]
pub(crate) fn signal_to(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "{pid} got no SIG{signal}");
}

/// The process of a run.
pub(crate) fn pid_of(run: &Value) -> Option<u32> {
    run["status"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

/// Whether a process lives; one that only waits to be reaped does not.
pub(crate) fn exists(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, after_name)| !after_name.starts_with('Z'))
}

/// A field of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`, ...
#[track_caller]
pub(crate) fn memory_kib(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// The files that a process has open.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// A condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|c| c["type"] == type_)
}

fn log(path: &Path) -> Stdio {
    fs::OpenOptions::new().create(true).append(true).open(path).unwrap().into()
}

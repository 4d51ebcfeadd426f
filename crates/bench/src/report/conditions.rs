//! What a table was taken under: without it a figure means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// The machine and the programs.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conditions {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) file_system: String,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    /// Name and version of each peer, or why it is absent.
    pub(crate) peers: Vec<(String, String)>,
}

impl Conditions {
    /// Of this machine, with what is kept below `dir`.
    pub(crate) fn here(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, field: &str| {
            let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let kib: f64 = memory.trim_end_matches("kB").trim().parse().unwrap_or(0.0);
        let uname = rustix::system::uname();
        Self {
            date: jiff::Timestamp::now().to_string(),
            commit: said("git", &["rev-parse", "--short", "HEAD"]),
            kernel: uname.release().to_string_lossy().into_owned(),
            processor: after(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib / (1 << 20) as f64 * 10.0).round() / 10.0,
            file_system: said("stat", &["-f", "-c", "%T", &dir.to_string_lossy()]),
            ..Self::default()
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{}; commit {}; Linux {}; {} x {}; {} GiB; {}; {} rounds{}\n",
            self.date,
            self.commit,
            self.kernel,
            self.cores,
            self.processor,
            self.memory_gib,
            self.file_system,
            self.rounds,
            if self.quick { ", quick: not to be quoted" } else { "" }
        );
        for (name, version) in &self.peers {
            text += &format!("{name}: {version}\n");
        }
        text
    }
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

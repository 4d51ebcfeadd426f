//! The kubectls of this machine, and runs of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::drover::Said;
use crate::serving::serve;

/// Where `cargo xtask needs` unpacks the one of Debian.
const DEBIANS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients/debian/usr/bin/kubectl");

/// One kubectl, with a home of its own: it caches discovery there.
pub(crate) struct Kubectl {
    program: PathBuf,
    /// Of its version 1.MINOR.
    pub(crate) minor: u32,
    home: TempDir,
    kubeconfig: PathBuf,
    /// Where it works, if not in the default one.
    pub(crate) namespace: Option<String>,
}

/// Whether this machine has `program` and what version 1.MINOR it is.
fn minor(program: &Path) -> Option<u32> {
    let output = Command::new(program)
        .args(["version", "--client", "-o", "json"])
        .env_clear()
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version: Value = serde_json::from_slice(&output.stdout).ok()?;
    version["clientVersion"]["minor"].as_str()?.trim_end_matches('+').parse().ok()
}

fn programs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = Vec::new();
    for folder in std::env::split_paths(&path) {
        // A link leads to where its versions lie.
        let Ok(program) = fs::canonicalize(folder.join("kubectl")) else { continue };
        let beside = program.parent().into_iter().flat_map(fs::read_dir).flatten().flatten();
        let is_versioned = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubectl.1."))
        };
        let versioned: Vec<PathBuf> = beside.map(|entry| entry.path()).filter(is_versioned).collect();
        // With them, it is one that chooses among them.
        if versioned.is_empty() { found.push(program) } else { found.extend(versioned) }
    }
    found.push(DEBIANS.into());
    found
}

/// All of them, oldest first, each to talk to the server in `folder`. There is at least one.
pub(crate) fn all(folder: &Path) -> Vec<Kubectl> {
    let by_minor: BTreeMap<u32, PathBuf> =
        programs().into_iter().filter_map(|program| Some((minor(&program)?, program))).collect();
    for wanted in [20].into_iter().chain(27..=33).filter(|minor| !by_minor.contains_key(minor)) {
        eprintln!("not run: kubectl 1.{wanted} is not on this machine");
    }
    assert!(!by_minor.is_empty(), "there is no kubectl to be driven: run `cargo xtask needs`");
    by_minor
        .into_iter()
        .map(|(minor, program)| Kubectl {
            program,
            minor,
            home: tempfile::tempdir().unwrap(),
            kubeconfig: folder.join(".drover/kubeconfig"),
            namespace: None,
        })
        .collect()
}

/// Each kubectl in a namespace of its own on one server.
pub(crate) fn with_each(test: impl Fn(&Kubectl)) {
    let folder = tempfile::tempdir().unwrap();
    let _server = serve(folder.path());
    for mut kubectl in all(folder.path()) {
        let space = format!("v{}", kubectl.minor);
        kubectl.says(&["create", "namespace", &space]);
        kubectl.namespace = Some(space);
        test(&kubectl);
    }
}

impl Kubectl {
    /// Runs it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    /// Runs it with variables of its environment set.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        Command::new(&self.program)
            .args(self.namespace.iter().map(|space| format!("--namespace={space}")))
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            // `diff` and `edit` call other programs.
            .env("PATH", "/usr/bin:/bin")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    /// Runs it, and it succeeds; what it says.
    #[track_caller]
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(
            said.code,
            Some(0),
            "kubectl 1.{} {arguments:?}: {}{}",
            self.minor,
            said.stdout,
            said.stderr
        );
        said.stdout
    }

    /// A file in its folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(name), text).unwrap();
    }
}

//! The rules of the house that a machine can check: arrows between crates, room sizes, module heads, names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A file longer than this is several rooms.
const MAX_LINES: usize = 800;
/// Names that say nothing of what is inside.
const NAMELESS: [&str; 6] = ["util", "utils", "helpers", "misc", "common", "manager"];

/// Which of our crates each of our crates may use. A crate that is not here may not exist.
const ARROWS: [(&str, &[&str]); 21] = [
    ("drover-mutants", &[]),
    ("drover-patch", &[]),
    ("drover-types", &[]),
    ("drover-columns", &["drover-types"]),
    ("drover-world", &[]),
    ("drover-spawn", &[]),
    ("drover-manifest", &[]),
    ("drover-store", &["drover-mutants"]),
    ("drover-keeper", &["drover-spawn"]),
    ("drover-keeper-image", &[]),
    ("drover-plan", &["drover-mutants", "drover-types"]),
    ("drover-wire", &["drover-types"]),
    ("drover-client", &["drover-mutants", "drover-types", "drover-wire", "drover-world"]),
    (
        "drover-apiserver",
        &[
            "drover-columns",
            "drover-manifest",
            "drover-mutants",
            "drover-patch",
            "drover-store",
            "drover-types",
            "drover-wire",
            "drover-world",
        ],
    ),
    ("drover-reconciler", &["drover-client", "drover-plan", "drover-types", "drover-world"]),
    (
        "drover-node-agent",
        &[
            "drover-client",
            "drover-keeper-image",
            "drover-mutants",
            "drover-plan",
            "drover-spawn",
            "drover-types",
            "drover-wire",
            "drover-world",
        ],
    ),
    (
        "drover",
        &[
            "drover-apiserver",
            "drover-client",
            "drover-columns",
            "drover-manifest",
            "drover-node-agent",
            "drover-reconciler",
            "drover-store",
            "drover-types",
            "drover-world",
        ],
    ),
    (
        "drover-testkit",
        &[
            "drover-apiserver",
            "drover-client",
            "drover-mutants",
            "drover-node-agent",
            "drover-reconciler",
            "drover-spawn",
            "drover-store",
            "drover-types",
            "drover-wire",
            "drover-world",
        ],
    ),
    // For tests alone: it reads with everybody's readers.
    (
        "drover-fuzz",
        &[
            "drover-apiserver",
            "drover-client",
            "drover-manifest",
            "drover-plan",
            "drover-spawn",
            "drover-store",
            "drover-types",
            "drover-wire",
            "drover-world",
        ],
    ),
    // It drives the built binary from outside, and measures the store by itself.
    ("drover-bench", &["drover-client", "drover-store", "drover-wire", "drover-world"]),
    ("xtask", &[]),
];

/// Crates that must never see what blocks, waits or keeps time.
const PURE: [(&str, &[&str]); 3] = [
    ("drover-types", &["tokio", "rusqlite", "hyper", "axum", "getrandom"]),
    ("drover-plan", &["tokio", "rusqlite", "hyper", "axum", "getrandom"]),
    ("drover-patch", &["tokio", "rusqlite", "hyper", "axum", "getrandom"]),
];

/// Checks every rule and reports all breaches at once.
pub(crate) fn check() -> Result<()> {
    println!("==> tidy");
    let metadata = metadata()?;
    let mut breaches = arrows(&metadata)?;
    breaches.extend(mutants(&metadata));
    breaches.extend(mutants_in_drover()?);
    let files = rust_files()?;
    for file in &files {
        breaches.extend(room(file)?);
    }
    if !breaches.is_empty() {
        bail!("the house is untidy:\n  {}", breaches.join("\n  "));
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .output()
        .context("starting `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("reading `cargo metadata`")
}

/// Bugs on purpose are for the simulation, and there only for who asks.
fn mutants(metadata: &Value) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let features = dependency["features"].as_array().is_some_and(|features| !features.is_empty());
            if dependency["name"] == "drover-mutants" && features {
                breaches.push(format!("{name} turns the bugs of drover-mutants on, for everybody"));
            }
        }
        for (feature, turns_on) in package["features"].as_object().into_iter().flatten() {
            let turns_on = turns_on.as_array().into_iter().flatten().filter_map(Value::as_str);
            let theirs = turns_on.into_iter().any(|on| on.starts_with("drover-mutants") || on == "mutants");
            if theirs && (name != "drover-testkit" || feature != "mutants") {
                breaches.push(format!("{name}: its feature {feature} turns the bugs of drover-mutants on"));
            }
        }
    }
    breaches
}

/// What is shipped has none of them.
fn mutants_in_drover() -> Result<Vec<String>> {
    let output = Command::new("cargo")
        .args(["tree", "--locked", "-p", "drover", "-e", "normal,features", "-i", "drover-mutants"])
        .output()
        .context("starting `cargo tree`")?;
    if !output.status.success() {
        bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let on = String::from_utf8_lossy(&output.stdout).contains("feature \"mutants\"");
    Ok(if on { vec!["drover is built with the bugs of drover-mutants".into()] } else { Vec::new() })
}

fn arrows(metadata: &Value) -> Result<Vec<String>> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut breaches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may_use) = allowed.get(name) else {
            breaches.push(format!("{name}: no arrows are drawn for this crate in crates/xtask/src/tidy.rs"));
            continue;
        };
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        if !fs::read_to_string(manifest)?.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{name}: its Cargo.toml lacks `[lints] workspace = true`"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let shipped = dependency["kind"].as_str() != Some("dev");
            let ours = used == "drover" || used.starts_with("drover-");
            if ours && shipped && !may_use.contains(&used) {
                breaches.push(format!("{name} may not use {used}"));
            }
            let pure = PURE.iter().find(|(pure, _)| *pure == name);
            if shipped && pure.is_some_and(|(_, banned)| banned.contains(&used)) {
                breaches.push(format!("{name} is pure and may not use {used}"));
            }
            if name != "drover-manifest" && ["serde_yaml", "yaml_serde"].contains(&used) {
                breaches.push(format!("{name}: only drover-manifest may know YAML"));
            }
        }
    }
    Ok(breaches)
}

fn rust_files() -> Result<Vec<PathBuf>> {
    let output =
        Command::new("git").args(["ls-files", "*.rs"]).output().context("starting `git ls-files`")?;
    if !output.status.success() {
        bail!("`git ls-files` failed; tidy looks at tracked files, so run it in a checkout");
    }
    let list = String::from_utf8(output.stdout)?;
    Ok(list.lines().map(PathBuf::from).filter(|path| path.exists()).collect())
}

fn room(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let shown = path.display();
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        breaches.push(format!("{shown}: {lines} lines; split it into rooms of at most {MAX_LINES}"));
    }
    if !text.starts_with("//!") {
        breaches.push(format!("{shown}: starts without a module head (`//!`)"));
    }
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if NAMELESS.contains(&stem) {
        breaches.push(format!("{shown}: {stem:?} does not say what is inside"));
    }
    let unsafe_home = path.starts_with("crates/spawn") || path.ends_with("xtask/src/tidy.rs");
    if !unsafe_home && text.contains("allow(unsafe_code)") {
        breaches.push(format!("{shown}: unsafe lives in crates/spawn only"));
    }
    Ok(breaches)
}

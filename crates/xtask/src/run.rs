//! Running other programs, each said aloud before it starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// Runs cargo; an error names the command that failed.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    program("cargo", args, &[])
}

/// Runs a program with extra environment.
pub(crate) fn program(name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let line = format!("{name} {}", args.join(" "));
    println!("==> {line}");
    let status = Command::new(name)
        .args(args)
        .envs(env.iter().copied())
        .status()
        .with_context(|| format!("starting `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

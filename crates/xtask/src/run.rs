//! Running other programs, each said aloud before it starts.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Runs tests through cargo. When some fail, what they said is said once more at the end: it is what a reader of a long
/// log looks for, and all that is left of a cut one.
pub(crate) fn tests(args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let line = format!("cargo {}", args.join(" "));
    println!("==> {line}");
    let mut child = Command::new("cargo")
        .args(args)
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{line}`"))?;
    let mut failures = Failures::default();
    if let Some(output) = child.stdout.take() {
        let mut reader = BufReader::new(output);
        let mut read = Vec::new();
        while reader.read_until(b'\n', &mut read)? > 0 {
            std::io::stdout().write_all(&read)?;
            failures.take(&String::from_utf8_lossy(&read));
            read.clear();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        println!("\n==> what failed\n{}", failures.text);
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// The part of a test program's output that tells of its failures.
#[derive(Default)]
struct Failures {
    inside: bool,
    text: String,
}

impl Failures {
    /// A panic may show megabytes.
    const LINE: usize = 2000;

    fn take(&mut self, line: &str) {
        self.inside = (self.inside || line.trim_end() == "failures:") && !line.starts_with("test result:");
        if self.inside {
            self.text.extend(line.trim_end().chars().take(Self::LINE));
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_kept_and_what_passed_is_not() {
        let mut failures = Failures::default();
        let long = format!("{}\n", "x".repeat(Failures::LINE + 1));
        for line in [
            "test a ... ok\n",
            "failures:\n",
            "---- b stdout ----\n",
            &long,
            "test result: FAILED\n",
            "later\n",
        ] {
            failures.take(line);
        }
        assert_eq!(failures.text, format!("failures:\n---- b stdout ----\n{}\n", "x".repeat(Failures::LINE)));
    }
}

//! Kubernetes clients that the tests drive, below `target/clients` and installed nowhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::needs::found;
use crate::{python, run};

/// Where the tests look for Debian's kubectl.
const DEBIANS: &str = "target/clients/debian";

/// Where they look for the clients written in Python.
const PYTHON: &str = "target/clients/python";
/// Which, and of which versions.
const PYTHONS: &str = "tests/clients/python/requirements.txt";

/// Fetches what is missing.
pub(crate) fn ensure() -> Result<()> {
    let requirements = fs::read_to_string(PYTHONS).with_context(|| format!("{PYTHONS} cannot be read"))?;
    python::ensure(PYTHON, &requirements, "the tests drive clients that are written in it")?;
    debians_kubectl()
}

/// A system that has no Debian packages goes without; the tests say which kubectl they miss.
fn debians_kubectl() -> Result<()> {
    if Path::new(DEBIANS).join("usr/bin/kubectl").exists() {
        return Ok(());
    }
    if !found("apt-get") {
        println!("missing: kubernetes-client, which only Debian's packages have: tests go without it");
        return Ok(());
    }
    // Root downloads as a user of less rights, who needs a folder that all may write to; it warns, and goes on, without.
    let folder = download_folder()?;
    let download = || {
        let status =
            Command::new("apt-get").args(["download", "kubernetes-client"]).current_dir(&folder).status();
        status.is_ok_and(|status| status.success())
    };
    if !download() {
        run::program("apt-get", &["update"], &[("DEBIAN_FRONTEND", "noninteractive")])?;
        if !download() {
            bail!("apt-get cannot download kubernetes-client, which tests drive");
        }
    }
    let package = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let package = package.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.context("apt-get downloaded no package")?;
    let package = package.to_str().context("the package's path is not UTF-8")?;
    run::program("dpkg", &["-x", package, DEBIANS], &[])?;
    fs::remove_dir_all(&folder).context("the download cannot be removed")
}

fn download_folder() -> Result<std::path::PathBuf> {
    let folder = std::env::current_dir()?.join("target/clients/download");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

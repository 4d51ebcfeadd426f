//! croniter, which the cron machine is compared with, in a Python environment of its own under `target/`.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run;

/// Where the tests look for it.
const ENVIRONMENT: &str = "target/oracles";
/// Of this version is what `crates/plan/tests/oracles/disagreements.txt` lists.
const CRONITER: &str = "croniter==6.0.0";

/// Makes the environment where it is missing, or holds another version.
pub(crate) fn ensure() -> Result<()> {
    let python = format!("{ENVIRONMENT}/bin/python");
    let version = CRONITER.trim_start_matches("croniter==");
    let wanted = format!("from importlib.metadata import version; assert version('croniter') == {version:?}");
    if says_yes(&python, &["-c", &wanted]) {
        return Ok(());
    }
    if !says_yes("python3", &["-c", "import ensurepip, venv"]) {
        println!("missing: python3 with venv (package python3-venv): the tests compare cron with croniter");
        if !says_yes("apt-get", &["--version"]) {
            bail!("install it with this system's package manager, then try again");
        }
        let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
        run::program("apt-get", &["update"], &quiet)?;
        run::program("apt-get", &["install", "--yes", "--no-install-recommends", "python3-venv"], &quiet)?;
    }
    run::program("python3", &["-m", "venv", "--clear", ENVIRONMENT], &[])?;
    run::program(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", CRONITER], &[])
}

fn says_yes(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

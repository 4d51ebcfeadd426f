//! Python environments below `target/`, each with packages of versions that the project names.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

/// What an environment has, written down in it.
const HELD: &str = "requirements.txt";

/// Makes the environment where it is missing, or has other packages than these, one `name==version` a line. `why` somebody
/// needs it is said when Python itself is missing.
pub(crate) fn ensure(environment: &str, requirements: &str, why: &str) -> Result<()> {
    let held = Path::new(environment).join(HELD);
    if fs::read_to_string(&held).is_ok_and(|held| held == requirements) {
        return Ok(());
    }
    if !says_yes("python3", &["-c", "import ensurepip, venv"]) {
        println!("missing: python3 with venv (package python3-venv): {why}");
        if !says_yes("apt-get", &["--version"]) {
            bail!("install it with this system's package manager, then try again");
        }
        let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
        run::program("apt-get", &["update"], &quiet)?;
        run::program("apt-get", &["install", "--yes", "--no-install-recommends", "python3-venv"], &quiet)?;
    }
    run::program("python3", &["-m", "venv", "--clear", environment], &[])?;
    let packages: Vec<&str> = requirements.split_whitespace().collect();
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run::program(&format!("{environment}/bin/python"), &[&install[..], &packages].concat(), &[])?;
    fs::write(&held, requirements).with_context(|| format!("{} cannot be written", held.display()))
}

fn says_yes(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

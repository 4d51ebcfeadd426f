//! The tools that a build and the tests call beside cargo; what is missing is installed where that is possible.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::{clients, oracles, run};

/// Program looked for, Debian package that has it, what it is for.
const TOOLS: [(&str, &str, &str); 8] = [
    ("cc", "gcc", "SQLite and the TLS library are C"),
    ("ar", "binutils", "static archives of C code"),
    ("c++", "g++", "libFuzzer, which `cargo xtask fuzz` drives the readers with, is C++"),
    ("ip", "iproute2", "tests give each host a network namespace of its own"),
    ("nsenter", "util-linux", "tests start agents in those namespaces"),
    ("flock", "util-linux", "tests find out that a service never runs twice"),
    ("systemd-analyze", "systemd", "tests compare cron with what systemd makes of it"),
    ("pgrep", "procps", "tests look for processes that were left behind"),
];

/// Looks for each tool and installs the missing ones with apt-get when this is root on Debian.
pub(crate) fn ensure() -> Result<()> {
    programs()?;
    oracles::ensure()?;
    clients::ensure()
}

fn programs() -> Result<()> {
    let missing: Vec<_> = TOOLS.into_iter().filter(|(program, ..)| !found(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for (program, package, why) in &missing {
        println!("missing: {program} (package {package}): {why}");
    }
    if !found("apt-get") {
        bail!("install the programs above with this system's package manager, then try again");
    }
    // Whoever reads calendars reads them in time zones, which a bare system may not have.
    let mut args = vec!["install", "--yes", "--no-install-recommends", "tzdata"];
    args.extend(missing.iter().map(|(_, package, _)| *package));
    run::program("apt-get", &["update"], &[("DEBIAN_FRONTEND", "noninteractive")])?;
    run::program("apt-get", &args, &[("DEBIAN_FRONTEND", "noninteractive")])
}

pub(crate) fn found(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

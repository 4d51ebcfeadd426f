//! runit: runsvdir, a runsv per process.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::install::Installed;
use super::supervision::{Process, Supervisor, service_folders};
use crate::processes::Running;

pub(super) struct Runit(pub(super) Installed);

impl Supervisor for Runit {
    fn start(&self, dir: &Path, processes: &[Process]) -> Result<Running> {
        service_folders(dir, processes)?;
        let mut command = self.0.command("runsvdir")?;
        command.arg("-P").arg(dir);
        Running::start(&mut command, &dir.with_extension("log"))
    }

    fn once(&self, dir: &Path, process: &Process) -> Result<Command> {
        let mut command = self.0.command("sv")?;
        command.arg("once").arg(dir.join(&process.name));
        Ok(command)
    }
}

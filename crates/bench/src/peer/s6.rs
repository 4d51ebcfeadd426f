//! s6: s6-svscan, an s6-supervise per process.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::install::Installed;
use super::supervision::{Process, Supervisor, service_folders};
use crate::processes::Running;

pub(super) struct S6(pub(super) Installed);

impl Supervisor for S6 {
    fn start(&self, dir: &Path, processes: &[Process]) -> Result<Running> {
        service_folders(dir, processes)?;
        // It knows its supervise program by its path in /usr/bin: it is shown one, in a mount namespace of its own.
        let mut command = Command::new("unshare");
        self.0.environment(&mut command);
        command
            .args(["-m", "sh", "-ec"])
            .arg("mount -t overlay overlay -o lowerdir=\"$1\":/usr/bin /usr/bin; exec s6-svscan \"$2\"")
            .arg("sh")
            .arg(self.0.root.join("usr/bin"))
            .arg(dir);
        Running::start(&mut command, &dir.with_extension("log"))
    }

    fn once(&self, dir: &Path, process: &Process) -> Result<Command> {
        let mut command = self.0.command("s6-svc")?;
        command.arg("-o").arg(dir.join(&process.name));
        Ok(command)
    }
}

//! pm2: one daemon that its command starts, with a home of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::install::Installed;
use super::supervision::{Process, Supervisor};
use crate::processes::Running;

pub(super) struct Pm2(pub(super) Installed);

impl Pm2 {
    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new("node");
        command.arg(self.0.root.join("node_modules/pm2/bin/pm2")).env("PM2_HOME", dir);
        command
    }
}

impl Supervisor for Pm2 {
    fn start(&self, dir: &Path, processes: &[Process]) -> Result<Running> {
        std::fs::create_dir_all(dir)?;
        let apps: Vec<_> = processes
            .iter()
            .filter(|process| process.kept)
            .map(|process| {
                json!({"name": process.name, "script": process.command[0], "args": process.command[1..],
                    "interpreter": "none"})
            })
            .collect();
        let file = dir.join("processes.json");
        std::fs::write(&file, json!({"apps": apps}).to_string())?;
        let mut command = self.command(dir);
        match apps.is_empty() {
            true => command.arg("ping"),
            false => command.arg("start").arg(&file),
        };
        // The daemon leaves its command, which ends.
        Running::start(&mut command, &dir.with_extension("log"))
    }

    fn once(&self, dir: &Path, process: &Process) -> Result<Command> {
        let mut command = self.command(dir);
        command
            .args(["start", &process.command[0], "--name", &process.name])
            .args(["--interpreter", "none", "--no-autorestart", "--"])
            .args(&process.command[1..]);
        Ok(command)
    }
}

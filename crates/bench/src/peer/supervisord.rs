//! supervisord, with the machine's Python.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::install::Installed;
use super::supervision::{Process, Supervisor};
use crate::processes::Running;

pub(super) struct Supervisord(pub(super) Installed);

impl Supervisord {
    fn python(&self, program: &str, dir: &Path) -> Result<Command> {
        let mut command = Command::new("/usr/bin/python3");
        self.0.environment(&mut command);
        command.arg(self.0.program(program)?).arg("-c").arg(dir.join("supervisord.conf"));
        Ok(command)
    }
}

impl Supervisor for Supervisord {
    fn start(&self, dir: &Path, processes: &[Process]) -> Result<Running> {
        std::fs::create_dir_all(dir)?;
        let at = dir.display();
        let mut config = format!(
            "[supervisord]\nnodaemon=true\nuser=root\nlogfile={at}/log\npidfile={at}/pid\nchildlogdir={at}\n\
             [unix_http_server]\nfile={at}/socket\n\
             [supervisorctl]\nserverurl=unix://{at}/socket\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        );
        for process in processes {
            writeln!(
                config,
                "[program:{}]\ncommand={}\nautostart={kept}\nautorestart={kept}\nstartsecs=0\nexitcodes=0",
                process.name,
                process.command.join(" "),
                kept = process.kept
            )?;
        }
        std::fs::write(dir.join("supervisord.conf"), config)?;
        Running::start(&mut self.python("supervisord", dir)?, &dir.with_extension("log"))
    }

    fn once(&self, dir: &Path, process: &Process) -> Result<Command> {
        let mut command = self.python("supervisorctl", dir)?;
        command.args(["start", &process.name]);
        Ok(command)
    }
}

//! `drover completion SHELL`.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use crate::command_line::{CommandLine, Completion};
use crate::terminal;

pub(crate) fn run(args: &Completion) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "drover", &mut script);
    terminal::write(&script)?;
    Ok(ExitCode::SUCCESS)
}

//! `drover completion SHELL`.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use crate::command_line::{CommandLine, Completion};

pub(crate) fn run(args: &Completion) -> Result<ExitCode> {
    clap_complete::generate(args.shell, &mut CommandLine::command(), "drover", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}

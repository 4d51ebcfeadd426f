//! The keeper: one process per run that holds the child, its pipes and its exit code, whatever becomes of the agent.
//!
//! `drover-keeper RUN_DIR`, with the run spec as standard input, the run directory's lock as standard output and the
//! agent's notice of the start as standard error; nobody but the agent starts it. One thread, no runtime, bounded
//! memory. It takes no commands: signals go to the child directly, and the state file says what happened.

mod hold;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(run_dir), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        return ExitCode::from(2);
    };
    match hold::run(&run_dir) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads what we could print. The state file is without an end, which readers take for what it is.
        Err(_) => ExitCode::FAILURE,
    }
}

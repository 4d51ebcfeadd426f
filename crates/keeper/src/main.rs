//! The keeper: one process per run that holds the child, its pipes and its exit code, whatever becomes of the agent.
//!
//! `drover-keeper VERSION` is a starter: the agent runs one, orders keepers from it over the socket that is its standard
//! input, and it forks itself for each (`drover_spawn::order`). A keeper has one thread, no runtime, bounded memory. It
//! takes no commands: signals go to the child directly, and the state file says what happened.

mod hold;

use std::process::ExitCode;

use drover_spawn::order;
use drover_spawn::spec::SPEC_VERSION;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().is_none_or(|version| version != SPEC_VERSION.to_string())
        || arguments.next().is_some()
    {
        return ExitCode::from(2);
    }
    let outcome = match order::take() {
        Ok(Some(order)) => hold::run(order),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads what we could print. The state file is without an end, which readers take for what it is.
        Err(_) => ExitCode::FAILURE,
    }
}

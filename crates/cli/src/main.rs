//! The `drover` command. stdout is data, stderr is talk; exit code 0 is done, 1 failed, 2 a usage error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talking to its caller is what a command does")]

mod command_line;
mod connect;
mod manifests;
mod roles;
mod terminal;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use command_line::{CommandLine, Verb};

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let machine = line.machine_readable();
    let done = match line.verb {
        Verb::Dev(args) => roles::dev::run(&args),
        Verb::Server(args) => roles::server::run(&args),
        Verb::Agent(args) => roles::agent::run(&args),
        Verb::Apply(args) => verbs::apply::run(&args),
        Verb::Get(args) => verbs::get::run(&args),
        Verb::Delete(args) => verbs::delete::run(&args),
        Verb::Lint(args) => verbs::lint::run(&args),
        Verb::Explain(args) => verbs::explain::run(&args),
        Verb::Version(args) => verbs::version::run(&args),
        Verb::Completion(args) => verbs::completion::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) if machine => {
            // Scripts read one JSON error from stdout instead of prose from stderr.
            println!("{}", serde_json::json!({ "error": format!("{error:#}") }));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The `drover` command. stdout is data, stderr is talk; exit code 0 is done, 1 failed, 2 a usage error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talking to its caller is what a command does")]

mod byte_bar;
mod changed;
mod chosen;
mod command_line;
mod connect;
mod custom_columns;
mod describe;
mod failure;
mod follow;
mod jsonpath;
mod logs;
mod manifests;
mod not_built;
mod output;
mod paint;
mod resources;
mod roles;
mod table;
mod terminal;
mod verbs;
mod waiting;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser;

use command_line::{CommandLine, Verb};
use verbs::label::Which;

fn main() -> ExitCode {
    let verb = std::env::args_os().nth(1);
    if let Some(refusal) = verb.as_deref().and_then(OsStr::to_str).and_then(not_built::refusal) {
        return failure::finish(Err(failure::usage(refusal)), false);
    }
    let line = CommandLine::parse();
    let machine = line.machine_readable();
    let done = match line.verb {
        Verb::Dev(args) => roles::dev::run(&args),
        Verb::Server(args) => roles::server::run(&args),
        Verb::Agent(args) => roles::agent::run(&args),
        Verb::Apply(args) => verbs::apply::run(&args),
        Verb::Diff(args) => verbs::diff::run(&args),
        Verb::Edit(args) => verbs::edit::run(&args),
        Verb::Patch(args) => verbs::patch::run(&args),
        Verb::Label(args) => verbs::label::run(&args, Which::Labels),
        Verb::Annotate(args) => verbs::label::run(&args, Which::Annotations),
        Verb::Scale(args) => verbs::scale::run(&args),
        Verb::Get(args) => verbs::get::run(&args),
        Verb::Describe(args) => verbs::describe::run(&args),
        Verb::Delete(args) => verbs::delete::run(&args),
        Verb::Wait(args) => verbs::wait::run(&args),
        Verb::Logs(args) => verbs::logs::run(&args),
        Verb::Run(args) => verbs::run::run(&args),
        Verb::Trigger(args) => verbs::trigger::run(&args),
        Verb::Events(args) => verbs::events::run(&args),
        Verb::Token(args) => verbs::token::run(&args),
        Verb::Backup(args) => verbs::backup::run(&args),
        Verb::Restore(args) => verbs::restore::run(&args),
        Verb::Kubeconfig(args) => verbs::kubeconfig::run(&args),
        Verb::Lint(args) => verbs::lint::run(&args),
        Verb::Explain(args) => verbs::explain::run(&args),
        Verb::Version(args) => verbs::version::run(&args),
        Verb::Completion(args) => verbs::completion::run(&args),
    };
    failure::finish(done, machine)
}

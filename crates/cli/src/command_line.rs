//! What can be typed: verbs, arguments, flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// A Kubernetes-style control plane for hosts that do not run Kubernetes.
#[derive(Parser)]
#[command(name = "drover", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check manifests without a server: syntax, fields, values
    Lint(Lint),
    /// Describe a kind or one of its fields: `drover explain timer.spec.template`
    Explain(Explain),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    Completion(Completion),
}

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Args)]
pub(crate) struct Lint {
    /// A file, a folder, or `-` for stdin; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Read folders below folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// How findings are printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct Explain {
    /// Kind, then fields: `timer`, `svc.spec.restart`
    #[arg(value_name = "KIND[.FIELD]...")]
    pub(crate) path: String,
}

#[derive(Args)]
pub(crate) struct Version {
    /// How it is printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

impl CommandLine {
    /// Whether errors, too, go to stdout as JSON.
    pub(crate) fn machine_readable(&self) -> bool {
        match &self.verb {
            Verb::Lint(args) => args.output == Output::Json,
            Verb::Version(args) => args.output == Output::Json,
            Verb::Explain(_) | Verb::Completion(_) => false,
        }
    }
}

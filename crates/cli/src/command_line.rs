//! What can be typed: verbs, arguments, flags.

mod roles;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use roles::{Agent, Dev, Server};

/// A Kubernetes-style control plane for hosts that do not run Kubernetes.
#[derive(Parser)]
#[command(name = "drover", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Run everything in one process, for a first look: server, reconciler and an agent for this host
    Dev(Dev),
    /// Run the server, and an agent for its own host
    Server(Server),
    /// Make this host a node of a server
    Agent(Agent),
    /// Create or replace the objects of manifests
    Apply(Apply),
    /// Print objects
    Get(Get),
    /// Delete an object
    Delete(Delete),
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

/// How objects are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `kind/name`.
    Name,
}

/// Which server, and which namespace.
#[derive(Args)]
pub(crate) struct Target {
    /// The kubeconfig; else KUBECONFIG, .drover/kubeconfig, ~/.kube/config
    #[arg(long)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Args)]
pub(crate) struct Apply {
    /// A file, a folder, or `-` for stdin; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Read folders below folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Get {
    /// The kind: `timers`, `svc`
    pub(crate) kind: String,
    /// One object; all of the namespace without it
    pub(crate) name: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub(crate) all_namespaces: bool,
    /// Only objects with these labels: `a=b,c in (d,e),!f`
    #[arg(short = 'l', long, conflicts_with = "name")]
    pub(crate) selector: Option<String>,
    /// How they are printed
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Delete {
    /// The kind
    pub(crate) kind: String,
    /// The object
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) target: Target,
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
            Verb::Get(args) => args.output == Format::Json,
            Verb::Dev(_)
            | Verb::Server(_)
            | Verb::Agent(_)
            | Verb::Apply(_)
            | Verb::Delete(_)
            | Verb::Explain(_)
            | Verb::Completion(_) => false,
        }
    }
}

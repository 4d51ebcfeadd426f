//! What can be typed: verbs, arguments, flags. One file per family of verbs.

mod access;
mod changes;
mod format;
mod objects;
mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use access::{Completion, CreateToken, Kubeconfig, Token, TokenFor, Version};
pub(crate) use changes::{Apply, Cascade, Delete, DryRun, Lint};
pub(crate) use format::{Format, NameOrJson, Output};
pub(crate) use objects::{Describe, Events, Explain, Get, Wait};
pub(crate) use runs::{Logs, RunTask, Trigger};

/// A Kubernetes-style control plane for hosts that do not run Kubernetes.
#[derive(Parser)]
#[command(name = "drover", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Run the apiserver (no reconciler and no agent yet: objects are stored and served, nothing is run)
    Server(Server),
    /// Create or replace the objects of manifests
    Apply(Apply),
    /// Print objects
    Get(Get),
    /// Print all about objects: what they are, what became of them, and the chain down to their runs
    Describe(Describe),
    /// Delete objects
    Delete(Delete),
    /// Wait until something holds of objects
    Wait(Wait),
    /// Print the output of runs
    Logs(Logs),
    /// Call an OnDemand Task
    Run(RunTask),
    /// Run a Timer's template now
    Trigger(Trigger),
    /// Print what happened
    Events(Events),
    /// Make tokens for hosts and people
    #[command(subcommand)]
    Token(Token),
    /// Print a kubeconfig that holds all a client needs
    Kubeconfig(Kubeconfig),
    /// Check manifests without a server: syntax, fields, values
    Lint(Lint),
    /// Describe a kind or one of its fields: `drover explain timer.spec.template`
    Explain(Explain),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    Completion(Completion),
}

#[derive(Args)]
pub(crate) struct Server {
    /// Where the store, the CA and the admin token are kept
    #[arg(long, env = "DROVER_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:7443")]
    pub(crate) listen: std::net::SocketAddr,
    /// A name or address by which clients reach it; may be given several times
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Vec<String>,
}

/// Which server, and which namespace.
#[derive(Default, Args)]
pub(crate) struct Target {
    /// The kubeconfig; else KUBECONFIG, .drover/kubeconfig, ~/.kube/config
    #[arg(long, value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context to use instead of the kubeconfig's current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
}

impl CommandLine {
    /// Whether errors, too, go to stdout as JSON.
    pub(crate) fn machine_readable(&self) -> bool {
        match &self.verb {
            Verb::Lint(args) => args.output == Output::Json,
            Verb::Version(args) => args.output == Output::Json,
            Verb::Get(args) => args.output == Format::Json,
            Verb::Events(args) => args.output == Format::Json,
            Verb::Apply(args) => args.output == Some(NameOrJson::Json),
            Verb::Trigger(args) => args.output == Output::Json,
            Verb::Run(args) => args.output == Some(NameOrJson::Json),
            Verb::Token(Token::Create(CreateToken::Node(args))) => args.token.output == Output::Json,
            Verb::Token(Token::Create(CreateToken::User(args))) => args.token.output == Output::Json,
            Verb::Server(_)
            | Verb::Describe(_)
            | Verb::Delete(_)
            | Verb::Wait(_)
            | Verb::Logs(_)
            | Verb::Kubeconfig(_)
            | Verb::Explain(_)
            | Verb::Completion(_) => false,
        }
    }
}

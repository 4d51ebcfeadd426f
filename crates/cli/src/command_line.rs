//! What can be typed: verbs, arguments, flags. One file per family of verbs.

mod access;
mod changes;
mod format;
mod objects;
mod roles;
mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use access::{Completion, CreateToken, Kubeconfig, Token, TokenFor, Version};
pub(crate) use changes::{Apply, Cascade, Delete, DryRun, Lint};
pub(crate) use format::{Format, NameOrJson, Output};
pub(crate) use objects::{Describe, Events, Explain, Get, Wait};
pub(crate) use roles::{Agent, Dev, Server};
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
            Verb::Dev(_)
            | Verb::Server(_)
            | Verb::Agent(_)
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

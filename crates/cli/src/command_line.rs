//! What can be typed: verbs, arguments, flags. One file per family of verbs.

mod access;
mod backups;
mod changes;
mod edits;
mod examples;
mod format;
mod objects;
mod roles;
mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use access::{Completion, CreateToken, Kubeconfig, Token, TokenFor, Version};
pub(crate) use backups::{Backup, Restore};
pub(crate) use changes::{Apply, Cascade, Delete, DryRun, Lint};
pub(crate) use edits::{Diff, Edit, Label, Part, Patch, PatchType, Scale, Written};
pub(crate) use format::{Format, NameOrData, Output};
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
    #[command(after_help = examples::DEV)]
    Dev(Dev),
    /// Run the server, and an agent for its own host
    #[command(after_help = examples::SERVER)]
    Server(Server),
    /// Make this host a node of a server
    #[command(after_help = examples::AGENT)]
    Agent(Agent),
    /// Make objects what manifests say, and leave alone what they do not
    #[command(after_help = examples::APPLY)]
    Apply(Apply),
    /// Show what an apply would change
    #[command(after_help = examples::DIFF)]
    Diff(Diff),
    /// Change an object in an editor
    #[command(after_help = examples::EDIT)]
    Edit(Edit),
    /// Change fields of an object
    #[command(after_help = examples::PATCH)]
    Patch(Patch),
    /// Set and remove labels
    #[command(after_help = examples::LABEL)]
    Label(Label),
    /// Set and remove annotations
    #[command(after_help = examples::ANNOTATE)]
    Annotate(Label),
    /// Say how many of something there are to be
    #[command(after_help = examples::SCALE)]
    Scale(Scale),
    /// Print objects
    #[command(after_help = examples::GET)]
    Get(Get),
    /// Print all about objects: what they are, what became of them, and the chain down to their runs
    #[command(after_help = examples::DESCRIBE)]
    Describe(Describe),
    /// Delete objects
    #[command(after_help = examples::DELETE)]
    Delete(Delete),
    /// Wait until something holds of objects
    #[command(after_help = examples::WAIT)]
    Wait(Wait),
    /// Print the output of runs
    #[command(after_help = examples::LOGS)]
    Logs(Logs),
    /// Call an OnDemand Task
    #[command(after_help = examples::RUN)]
    Run(RunTask),
    /// Run a Timer's template now
    #[command(after_help = examples::TRIGGER)]
    Trigger(Trigger),
    /// Print what happened
    #[command(after_help = examples::EVENTS)]
    Events(Events),
    /// Make tokens for hosts and people
    #[command(subcommand, after_help = examples::TOKEN)]
    Token(Token),
    /// Write all that a server on a new host needs to one file, while the server goes on
    #[command(after_help = examples::BACKUP)]
    Backup(Backup),
    /// Make the data directory of a new server of a backup
    #[command(after_help = examples::RESTORE)]
    Restore(Restore),
    /// Print a kubeconfig that holds all a client needs
    #[command(after_help = examples::KUBECONFIG)]
    Kubeconfig(Kubeconfig),
    /// Check manifests without a server: syntax, fields, values
    Lint(Lint),
    /// Describe a kind or one of its fields: `drover explain timer.spec.template`
    #[command(after_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETION)]
    Completion(Completion),
}

/// Which server, and which namespace.
#[derive(Clone, Default, Args)]
pub(crate) struct Target {
    /// The kubeconfig; else KUBECONFIG, .drover/kubeconfig, ~/.kube/config
    #[arg(long, value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context to use instead of the kubeconfig's current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The namespace; else the kubeconfig's, or `default`
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
            Verb::Apply(args) => args.output == Some(NameOrData::Json),
            Verb::Diff(args) => args.output == Output::Json,
            Verb::Patch(args) => args.how.output == Some(NameOrData::Json),
            Verb::Label(args) | Verb::Annotate(args) => args.how.output == Some(NameOrData::Json),
            Verb::Scale(args) => args.how.output == Some(NameOrData::Json),
            Verb::Trigger(args) => args.output == Output::Json,
            Verb::Run(args) => args.output == Some(NameOrData::Json),
            Verb::Token(Token::Create(CreateToken::Node(args))) => args.token.output == Output::Json,
            Verb::Token(Token::Create(CreateToken::User(args))) => args.token.output == Output::Json,
            Verb::Backup(args) => args.output == Output::Json,
            Verb::Restore(args) => args.output == Output::Json,
            Verb::Dev(_)
            | Verb::Server(_)
            | Verb::Agent(_)
            | Verb::Edit(_)
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

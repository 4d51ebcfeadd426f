//! Verbs about reaching a server: token, kubeconfig, version, completion.

use clap::{Args, Subcommand};
use clap_complete::Shell;
use drover_types::Duration;

use super::{Output, Target};

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it, this once
    #[command(subcommand)]
    Create(CreateToken),
}

#[derive(Subcommand)]
pub(crate) enum CreateToken {
    /// For a host that is to join
    Node(NodeToken),
    /// For a person or a program: may do everything
    User(UserToken),
}

/// What every new token has.
#[derive(Args)]
pub(crate) struct TokenFor {
    /// How long it is good for
    #[arg(long, default_value = "24h")]
    pub(crate) ttl: Duration,
    /// How it is printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct NodeToken {
    /// The only node it is good for
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// A label that the node may give itself; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) allow_label: Vec<String>,
    #[command(flatten)]
    pub(crate) token: TokenFor,
}

#[derive(Args)]
pub(crate) struct UserToken {
    /// Whose it is
    #[arg(long, default_value = "user")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) token: TokenFor,
}

#[derive(Args)]
pub(crate) struct Kubeconfig {
    /// The URL to write into it, where clients reach the server by another name
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// CA and token are always embedded
    #[arg(long, hide = true)]
    pub(crate) embed: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Version {
    /// Do not ask the server for its own
    #[arg(long)]
    pub(crate) client: bool,
    /// How it is printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

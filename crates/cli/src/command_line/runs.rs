//! Verbs about runs: logs, run, trigger.

use clap::Args;
use drover_types::Duration;
use jiff::Timestamp;

use super::objects::limit;
use super::{NameOrData, Output, Target};

#[derive(Args)]
pub(crate) struct Logs {
    /// A run, or `timer/X`, `task/X`, `service/X`: the newest run on each node
    #[arg(value_name = "RUN | KIND/NAME")]
    pub(crate) what: String,
    /// Go on as more is written; of a workload, also with the runs that come
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// Only runs on this node
    #[arg(long)]
    pub(crate) node: Option<String>,
    /// Only so many lines from the end
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u64>,
    /// Only what is not older: `5m`
    #[arg(long, conflicts_with = "since_time")]
    pub(crate) since: Option<Duration>,
    /// Only what is not older: `2026-08-01T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) since_time: Option<Timestamp>,
    /// Put the time before each line
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Put `node/run` before each line, also of a single run
    #[arg(long, overrides_with = "no_prefix")]
    pub(crate) prefix: bool,
    /// Bare lines, also of several runs
    #[arg(long, overrides_with = "prefix")]
    pub(crate) no_prefix: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct RunTask {
    /// The OnDemand Task: `deploy` or `task/deploy`
    pub(crate) task: String,
    /// On this node
    #[arg(long, conflicts_with = "selector")]
    pub(crate) node: Option<String>,
    /// On the nodes with these labels: `tier=web,dc=a`
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<String>,
    /// A parameter; may be given several times
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<String>,
    /// Calls with the same key are one call
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Wait until it is done; exit code 1 if it failed
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print its output until it is done; exit code 1 if it failed
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// How long --wait and --follow take at most; 0 has no end
    #[arg(long, default_value = "0", value_parser = limit)]
    pub(crate) timeout: Duration,
    /// Print the call, or its name, instead of what was done
    #[arg(short = 'o', long, value_enum)]
    pub(crate) output: Option<NameOrData>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Trigger {
    /// The Timer: `beat` or `timer/beat`
    pub(crate) timer: String,
    /// Only on this node
    #[arg(long)]
    pub(crate) node: Option<String>,
    /// How the answer is printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) target: Target,
}

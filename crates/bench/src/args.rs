//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures drover beside the machine's limits and its peers, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "drover-bench", version)]
pub(crate) struct Args {
    /// Only these rows, as in P1,P2; all without it
    #[arg(long, value_delimiter = ',', value_name = "P1,P2,...")]
    pub(crate) rows: Vec<String>,
    /// Install the peers into a private folder, and measure them in the same rounds
    #[arg(long)]
    pub(crate) peers: bool,
    /// Short rounds that wait for no quiet machine: to see that it works, not to quote
    #[arg(long)]
    pub(crate) quick: bool,
    /// The largest sizes, too: a million objects
    #[arg(long)]
    pub(crate) full: bool,
    /// Write the table as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Measure this binary instead of building one (`cargo build --profile dist`)
    #[arg(long, value_name = "FILE")]
    pub(crate) drover: Option<PathBuf>,
    /// Where everything is kept while it runs: a folder on a real disk
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub(crate) dir: PathBuf,
    /// Rounds per contestant
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Seconds that a round waits for the machine to be quiet
    #[arg(long, default_value_t = 20)]
    pub(crate) patience: u64,
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// Parts that run as processes of their own, so that no floor is measured inside its own client.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Part {
    /// A bare WebSocket fan-out server over TLS
    #[command(hide = true)]
    Fanout {
        /// Where certificate and key lie
        #[arg(long)]
        dir: PathBuf,
    },
}

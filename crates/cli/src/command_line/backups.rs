//! Verbs about backups: backup, restore.

use std::path::PathBuf;

use clap::Args;

use super::{Output, Target};

#[derive(Args)]
pub(crate) struct Backup {
    /// The file to write; one of that name is replaced once the new one is whole
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Back up the data directory of a server that does not run, without asking one
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How the outcome is printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The data directory to make of it; it must not be there, or be empty
    #[arg(long, env = "DROVER_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// How the outcome is printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

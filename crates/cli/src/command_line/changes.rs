//! Verbs about manifests and changes: apply, delete, lint.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use drover_types::Duration;

use super::objects::limit;
use super::{NameOrData, Output, Target};

/// Which manifests.
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

/// A change that is only tried.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// It is made.
    #[default]
    None,
    /// Nothing is sent; what the server holds is only looked at.
    Client,
    /// The server does everything but keep it.
    Server,
}

impl DryRun {
    /// What a request asks for by `dryRun`.
    pub(crate) fn asked(self) -> Option<&'static str> {
        (self == Self::Server).then_some("All")
    }
}

#[derive(Default, Args)]
pub(crate) struct Apply {
    /// A file, a folder, or `-` for stdin; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Read folders below folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Change nothing, and say what would be changed
    #[arg(long, value_enum, default_value = "none", hide_default_value = true)]
    pub(crate) dry_run: DryRun,
    /// Print the objects, or their names, instead of what was done
    #[arg(short = 'o', long, value_enum)]
    pub(crate) output: Option<NameOrData>,
    /// Take fields that others have changed since
    #[arg(long)]
    pub(crate) force_conflicts: bool,
    /// Delete what is in the set of --applyset and no longer among the manifests
    #[arg(long)]
    pub(crate) prune: bool,
    /// The set that is applied: a Secret of this name, or secrets/NAME, or configmaps/NAME, keeps it
    #[arg(long, value_name = "[KIND/]NAME")]
    pub(crate) applyset: Option<String>,
    /// As whom to apply: what a manager no longer lists goes, and what others own is theirs
    #[arg(long, value_name = "NAME", default_value = drover_apiserver::APPLIER)]
    pub(crate) field_manager: String,
    /// There is no other way
    #[arg(long, hide = true, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    pub(crate) server_side: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// What becomes of what a deleted object owns.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cascade {
    /// It is deleted afterwards.
    Background,
    /// It is deleted first.
    Foreground,
    /// It stays.
    Orphan,
}

#[derive(Args)]
pub(crate) struct Delete {
    /// `timer beat`, `timer/beat`, or a kind with --selector or --all
    #[arg(
        value_name = "KIND [NAME]... | KIND/NAME",
        required_unless_present = "paths",
        conflicts_with = "paths"
    )]
    pub(crate) what: Vec<String>,
    /// The objects of these manifests; a file, a folder, or `-` for stdin
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read folders below folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Objects with these labels
    #[arg(short = 'l', long, conflicts_with_all = ["paths", "all"])]
    pub(crate) selector: Option<String>,
    /// All objects of the kind
    #[arg(long, conflicts_with = "paths")]
    pub(crate) all: bool,
    /// In all namespaces
    #[arg(short = 'A', long, conflicts_with = "paths")]
    pub(crate) all_namespaces: bool,
    /// What becomes of what they own
    #[arg(long, value_enum, default_value = "background")]
    pub(crate) cascade: Cascade,
    /// Wait until they are gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(crate) wait: bool,
    /// How long to wait at most; 0 has no end
    #[arg(long, default_value = "0", value_parser = limit)]
    pub(crate) timeout: Duration,
    /// What is not there is no error
    #[arg(long)]
    pub(crate) ignore_not_found: bool,
    /// Print names only
    #[arg(short = 'o', long, value_enum)]
    pub(crate) output: Option<OnlyName>,
    #[arg(long, hide = true)]
    pub(crate) now: bool,
    #[arg(long, hide = true)]
    pub(crate) force: bool,
    #[arg(long, hide = true, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) grace_period: Option<i64>,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// The one format of `delete`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnlyName {
    /// `kind/name`.
    Name,
}

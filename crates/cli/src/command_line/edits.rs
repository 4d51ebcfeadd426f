//! Verbs that change single fields of objects: diff, edit, patch, label, annotate, scale.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DryRun, NameOrData, Output, Target};
use crate::chosen::Choice;

#[derive(Args)]
pub(crate) struct Diff {
    /// A file, a folder, or `-` for stdin; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Read folders below folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Take fields that others have changed since
    #[arg(long)]
    pub(crate) force_conflicts: bool,
    /// As whom the apply would be
    #[arg(long, value_name = "NAME", default_value = drover_apiserver::APPLIER)]
    pub(crate) field_manager: String,
    /// How differences are printed
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// How an object is written in an editor.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Written {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

#[derive(Args)]
pub(crate) struct Edit {
    /// `timer beat` or `timer/beat`
    #[arg(required = true, value_name = "KIND NAME | KIND/NAME")]
    pub(crate) what: Vec<String>,
    /// How it is written in the editor
    #[arg(short = 'o', long, value_enum, default_value = "yaml")]
    pub(crate) output: Written,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// How a change is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PatchType {
    /// Lists are merged by the keys of their items.
    Strategic,
    /// RFC 7386: lists are replaced, null deletes.
    Merge,
    /// RFC 6902: a list of operations.
    Json,
}

/// A part of an object with a path of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What was observed.
    Status,
    /// How many there are to be.
    Scale,
}

#[derive(Args)]
pub(crate) struct Patch {
    /// `timer beat` or `timer/beat`
    #[arg(required = true, value_name = "KIND NAME | KIND/NAME")]
    pub(crate) what: Vec<String>,
    /// How the change is written
    #[arg(long = "type", value_enum, default_value = "strategic")]
    pub(crate) type_: PatchType,
    /// The change, as JSON or YAML
    #[arg(short = 'p', long, required_unless_present = "patch_file", conflicts_with = "patch_file")]
    pub(crate) patch: Option<String>,
    /// A file with the change
    #[arg(long, value_name = "PATH")]
    pub(crate) patch_file: Option<PathBuf>,
    /// The part of the object that is changed
    #[arg(long, value_enum)]
    pub(crate) subresource: Option<Part>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// What every change has.
#[derive(Default, Args)]
pub(crate) struct How {
    /// Change nothing, and say what would be changed
    #[arg(long, value_enum, default_value = "none", hide_default_value = true)]
    pub(crate) dry_run: DryRun,
    /// Print the objects, or their names, instead of what was done
    #[arg(short = 'o', long, value_enum)]
    pub(crate) output: Option<NameOrData>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Label {
    /// Which objects, then `key=value` to set and `key-` to remove
    #[arg(required = true, value_name = "KIND [NAME]... | KIND/NAME | KEY=VALUE | KEY-")]
    pub(crate) words: Vec<String>,
    /// Also where there is another value
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Args)]
pub(crate) struct Scale {
    /// `service web`, `service/web`, or a kind with --selector or --all
    #[arg(required = true, value_name = "KIND [NAME]... | KIND/NAME")]
    pub(crate) what: Vec<String>,
    /// How many there are to be
    #[arg(long, value_name = "COUNT")]
    pub(crate) replicas: u32,
    /// Only if there are to be so many now
    #[arg(long, value_name = "COUNT")]
    pub(crate) current_replicas: Option<u32>,
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) how: How,
}

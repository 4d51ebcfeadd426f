//! Verbs that read objects: get, describe, wait, events, explain.

use clap::Args;
use drover_types::Duration;

use super::{Format, Target};
use crate::jsonpath::Path;
use crate::waiting::Until;

#[derive(Args)]
pub(crate) struct Get {
    /// `timers`, `timer beat`, `timer/beat`, `timers,tasks` or `all`
    #[arg(required = true, value_name = "KIND [NAME]... | KIND/NAME")]
    pub(crate) what: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Only objects with these labels: `a=b,c in (d,e),!f`
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<String>,
    /// Only objects with these fields: `metadata.name=a,status.phase!=Running`
    #[arg(long)]
    pub(crate) field_selector: Option<String>,
    /// Then print every change, until interrupted
    #[arg(short = 'w', long)]
    pub(crate) watch: bool,
    /// Tables without their first line
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// In the order of this field: `.metadata.creationTimestamp`
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(crate) sort_by: Option<Path>,
    /// A name that is not there is no error
    #[arg(long)]
    pub(crate) ignore_not_found: bool,
    /// wide, json, yaml, name, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,...
    #[arg(short = 'o', long, default_value = "table", hide_default_value = true)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: Target,
}

fn path(text: &str) -> Result<Path, String> {
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    Path::parse(inside)
}

#[derive(Args)]
pub(crate) struct Describe {
    /// `timer beat`, `timer/beat`, or `timers` for all of them
    #[arg(required = true, value_name = "KIND [NAME]... | KIND/NAME")]
    pub(crate) what: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Wait {
    /// `timer/beat`, `timer beat`, or a kind with --selector or --all
    #[arg(required = true, value_name = "KIND/NAME")]
    pub(crate) what: Vec<String>,
    /// delete, create, condition=TYPE[=STATUS], jsonpath='{PATH}'[=VALUE]
    #[arg(long = "for", value_name = "WHAT")]
    pub(crate) until: Until,
    /// How long at most; 0 looks once
    #[arg(long, default_value = "30s", value_parser = limit)]
    pub(crate) timeout: Duration,
    /// Only objects with these labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<String>,
    /// All objects of the kind
    #[arg(long, conflicts_with = "selector")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// A duration for which `0` needs no unit, as kubectl's.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    match text {
        "0" => Ok(Duration::ZERO),
        text => text.parse().map_err(|error| format!("{error}")),
    }
}

#[derive(Args)]
pub(crate) struct Events {
    /// Only what is about this object: `timer/beat`
    #[arg(long = "for", value_name = "KIND/NAME")]
    pub(crate) about: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Then print every change, until interrupted
    #[arg(short = 'w', long)]
    pub(crate) watch: bool,
    /// Tables without their first line
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// wide, json, yaml, name, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,...
    #[arg(short = 'o', long, default_value = "table", hide_default_value = true)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct Explain {
    /// Kind, then fields: `timer`, `svc.spec.restart`
    #[arg(value_name = "KIND[.FIELD]...")]
    pub(crate) path: String,
    /// All fields below, as a tree
    #[arg(long)]
    pub(crate) recursive: bool,
}

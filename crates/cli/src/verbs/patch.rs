//! `drover patch`: a change of an object, written as a merge, a strategic merge or a list of operations.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use drover_client::{PatchKind, Query};
use drover_manifest::{Limits, decode_value};
use serde_json::Value;

use crate::changed::Changed;
use crate::chosen::{self, Chosen};
use crate::command_line::{DryRun, Part, Patch, PatchType};
use crate::connect::{Connection, block_on, connect};
use crate::failure::{Failures, usage};

const MANAGER: &str = "drover-patch";

pub(crate) fn run(args: &Patch) -> Result<ExitCode> {
    if args.how.dry_run == DryRun::Client {
        return Err(usage(
            "--dry-run=client is not supported: what a patch makes of an object, the server says; use server",
        ));
    }
    let patch = read(args)?;
    let connection = connect(&args.how.target)?;
    block_on(async {
        let mut changed = Changed::new(args.how.output, args.how.dry_run);
        let mut failures = Failures::default();
        for one in chosen::named(&args.what, &connection, "patched")? {
            match send(args, (&connection, &one), &patch).await {
                Ok((object, word)) => changed.say(one.kind, object, word)?,
                Err(error) => failures.add(error.context(one.shown())),
            }
        }
        changed.end()?;
        failures.end()
    })
}

/// JSON is YAML, too.
fn read(args: &Patch) -> Result<Value> {
    let (source, text) = match (&args.patch, &args.patch_file) {
        (Some(text), _) => ("--patch".to_owned(), text.clone()),
        (None, Some(path)) => {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            (shown, text)
        }
        (None, None) => return Err(usage("give --patch or --patch-file")),
    };
    let patch = decode_value(&source, &text, &Limits::default()).map_err(|wrong| anyhow!("{wrong}"))?;
    match (args.type_, &patch) {
        (PatchType::Json, Value::Array(_)) | (PatchType::Merge | PatchType::Strategic, Value::Object(_)) => {
            Ok(patch)
        }
        (PatchType::Json, _) => Err(usage("with --type=json, the patch is a list of operations")),
        (PatchType::Merge | PatchType::Strategic, _) => {
            Err(usage("the patch is no object; a list of operations is --type=json"))
        }
    }
}

async fn send(
    args: &Patch,
    (connection, one): (&Connection, &Chosen),
    patch: &Value,
) -> Result<(Value, &'static str)> {
    let mut path = one.path();
    path.push_str(match args.subresource {
        None => "",
        Some(Part::Status) => "/status",
        Some(Part::Scale) => "/scale",
    });
    let kind = match args.type_ {
        PatchType::Strategic => PatchKind::Strategic,
        PatchType::Merge => PatchKind::Merge,
        PatchType::Json => PatchKind::Json,
    };
    let before: Value = connection.client.get(&path).await?;
    let query = Query::new(&path)
        .with("fieldManager", MANAGER)
        .with("fieldValidation", "Strict")
        .with_some("dryRun", args.how.dry_run.asked());
    let object: Value = connection.client.patch(&query.into_path(), kind, patch).await?;
    let word = if object == before { "patched (no change)" } else { "patched" };
    Ok((object, word))
}

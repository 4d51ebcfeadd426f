//! `drover apply -f PATH`: create or replace. Every manifest is read, checked here, and tried on the server, before the
//! first is kept: a refusal of any leaves everything as it was. What is there already is not tried, nor is what is alone.
//!
//! Absent so far: field ownership (server-side apply) and pruning.

mod order;
mod progress;
mod refused;
mod send;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use drover_client::Error;
use drover_manifest::{Diagnostic, FieldPath, Recursion};
use drover_types::Kind;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::command_line::{Apply, DryRun, NameOrJson};
use crate::connect::{Connection, block_on, connect};
use crate::failure::usage;
use crate::manifests::{self, Manifest, Outcome};
use crate::output::document;
use crate::resources::shown;
use crate::terminal;
use progress::Progress;
use send::{Done, Sending, Word};

/// Requests under way at once.
const IN_FLIGHT: usize = 32;

pub(crate) fn run(args: &Apply) -> Result<ExitCode> {
    if args.prune {
        return Err(usage("--prune is not built yet: it comes with Kubernetes clients (server-side apply)"));
    }
    if args.server_side {
        return Err(usage(
            "--server-side is not built yet: it comes with Kubernetes clients (server-side apply)",
        ));
    }
    let recursion = if args.recursive { Recursion::Deep } else { Recursion::Flat };
    let good = match manifests::read(&args.paths, recursion)? {
        Outcome::Good(good) => good,
        Outcome::Bad(bad) => return nothing(args, &bad),
    };
    if good.is_empty() {
        bail!("nothing to apply: there is no object in what was given");
    }
    let connection = connect(&args.target)?;
    let strangers = strangers(args, &good);
    if !strangers.is_empty() {
        return nothing(args, &strangers);
    }
    let progress = Progress::new(good.len());
    // One object needs no try: its own write is all or nothing.
    let alone = good.len() == 1 && args.dry_run == DryRun::None;
    let stages = order::stages(good);
    block_on(async {
        if alone {
            return keep(args, &connection, &stages, (vec![vec![None]], &progress)).await;
        }
        let checked = match check(args, &connection, &stages, &progress).await {
            Ok(Ok(checked)) => checked,
            Ok(Err(refused)) => {
                progress.end();
                return nothing(args, &refused);
            }
            Err(error) => return Err(anyhow::Error::from(error).context("nothing was applied")),
        };
        keep(args, &connection, &stages, (checked, &progress)).await
    })
}

/// `-n` and a manifest that says otherwise cannot both be meant.
fn strangers(args: &Apply, manifests: &[Manifest]) -> Vec<Diagnostic> {
    let Some(given) = &args.target.namespace else { return Vec::new() };
    let differs = |manifest: &&Manifest| {
        manifest.document.namespace.as_ref().is_some_and(|namespace| namespace != given)
    };
    let point = |manifest: &Manifest| {
        let message = format!("the namespace differs from the one of --namespace, {given:?}");
        let path = FieldPath::parse("metadata.namespace");
        manifest.document.error_at(&path, message).help("leave one of the two out")
    };
    manifests.iter().filter(differs).map(point).collect()
}

type Checked = Vec<Vec<Option<Done>>>;

/// Tries every object. What is in a namespace that this set makes cannot be tried yet: that is none.
async fn check(
    args: &Apply,
    connection: &Connection,
    stages: &[Vec<Manifest>],
    progress: &Progress,
) -> Result<Result<Checked, Vec<Diagnostic>>, Error> {
    let made: BTreeSet<&str> = stages
        .iter()
        .flatten()
        .filter(|manifest| manifest.kind == Kind::Namespace)
        .map(|manifest| manifest.document.name.as_str())
        .collect();
    let mut sending =
        Sending::new(connection, if args.dry_run == DryRun::Client { Word::Guess } else { Word::Try });
    let (mut checked, mut refused) = (Vec::new(), Vec::new());
    for stage in stages {
        sending.look_ahead(stage).await?;
        let sending = &sending;
        let tried =
            stage.iter().map(|manifest| async move { (manifest, sending.send(manifest, None).await) });
        let mut tried = stream::iter(tried).buffered(IN_FLIGHT);
        let mut done = Vec::new();
        while let Some((manifest, result)) = tried.next().await {
            progress.step();
            match result {
                Ok(result) => done.push(Some(result)),
                Err(error) if refused::lacks_namespace(&error, &made) => done.push(None),
                Err(error) => refused.extend(refused::diagnostics(manifest, error)?),
            }
        }
        checked.push(done);
    }
    Ok(if refused.is_empty() { Ok(checked) } else { Err(refused) })
}

/// Makes the changes that the check found, stage by stage, and says each.
async fn keep(
    args: &Apply,
    connection: &Connection,
    stages: &[Vec<Manifest>],
    (checked, progress): (Checked, &Progress),
) -> Result<ExitCode> {
    let sending = Sending::new(connection, Word::Keep);
    let mut objects = Vec::new();
    let (mut kept, total) = (0, stages.iter().map(Vec::len).sum::<usize>());
    for (stage, checked) in stages.iter().zip(checked) {
        let sent = stage.iter().zip(checked).map(|(manifest, checked)| {
            let sending = &sending;
            async move {
                let done = match checked {
                    Some(done) if args.dry_run != DryRun::None || done.word == "unchanged" => Ok(done),
                    None if args.dry_run != DryRun::None => {
                        Ok(Done { word: "created", object: manifest.value.clone(), live: None })
                    }
                    tried => sending.send(manifest, tried).await,
                };
                (manifest, done)
            }
        });
        let mut sent = stream::iter(sent).buffered(IN_FLIGHT);
        while let Some((manifest, result)) = sent.next().await {
            progress.step();
            let done = match result {
                Ok(done) => done,
                Err(error) => {
                    progress.end();
                    drop(sent);
                    return stopped(args, manifest, error, (kept, total));
                }
            };
            kept += 1;
            let shown = shown(manifest.kind, &manifest.document.name);
            match args.output {
                None => progress
                    .aside(|| terminal::report(&format!("{shown} {}{}\n", done.word, suffix(args))))?,
                Some(NameOrJson::Name) => progress.aside(|| terminal::report(&format!("{shown}\n")))?,
                Some(NameOrJson::Json) => objects.push(done.object),
            }
        }
    }
    progress.end();
    if args.output == Some(NameOrJson::Json) {
        terminal::report(&format!("{:#}\n", document(objects.len() == 1, objects)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn suffix(args: &Apply) -> &'static str {
    match args.dry_run {
        DryRun::None => "",
        DryRun::Client => " (dry run)",
        DryRun::Server => " (server dry run)",
    }
}

/// Something went wrong after the check: the server is gone, or another client came between.
fn stopped(
    args: &Apply,
    manifest: &Manifest,
    error: Error,
    (kept, total): (usize, usize),
) -> Result<ExitCode> {
    let said = format!("stopped: {kept} of {total} were applied; applying again goes on from there");
    match refused::diagnostics(manifest, error) {
        Ok(found) if total == 1 => nothing(args, &found),
        Ok(found) => tell(args, &found, &said),
        Err(error) => Err(anyhow::Error::from(error))
            .with_context(|| shown(manifest.kind, &manifest.document.name))
            .context(said),
    }
}

fn nothing(args: &Apply, found: &[Diagnostic]) -> Result<ExitCode> {
    tell(args, found, "nothing was applied")
}

fn tell(args: &Apply, found: &[Diagnostic], said: &str) -> Result<ExitCode> {
    if args.output == Some(NameOrJson::Json) {
        let diagnostics: Vec<Value> = found.iter().map(Diagnostic::to_json).collect();
        terminal::report(&format!("{}\n", json!({ "error": said, "diagnostics": diagnostics })))?;
    } else {
        manifests::tell(found, said);
    }
    Ok(ExitCode::FAILURE)
}

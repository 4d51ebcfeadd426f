//! `drover apply -f PATH`: server-side apply. Every manifest is read, checked here, and tried on the server, before the
//! first is kept: a refusal of any leaves everything as it was. What would not change is not tried, nor is what is alone.
//!
//! With `--prune`, what is in the apply set and no longer among the manifests is deleted, once all of them are kept.

mod apply_set;
mod order;
mod progress;
mod prune;
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

use crate::changed::Changed;
use crate::command_line::{Apply, DryRun, NameOrData};
use crate::connect::{Connection, block_on, connect};
use crate::failure::usage;
use crate::manifests::{self, Manifest, Outcome};
use crate::resources::shown;
use crate::terminal;
use apply_set::ApplySet;
use progress::Progress;
pub(super) use send::Done;
use send::{As, Sending, Word};

/// Requests under way at once.
const IN_FLIGHT: usize = 32;

pub(crate) fn run(args: &Apply) -> Result<ExitCode> {
    if !args.server_side {
        return Err(usage(
            "--server-side=false is not supported: who owns which field is known to the server alone",
        ));
    }
    match (args.prune, &args.applyset) {
        (true, None) => {
            return Err(usage("--prune needs --applyset NAME: what is pruned is what left that set"));
        }
        (false, Some(_)) => return Err(usage("--applyset needs --prune")),
        _ => {}
    }
    let Some((connection, stages)) = begin(args)? else { return Ok(ExitCode::FAILURE) };
    block_on(async {
        let mut set = match &args.applyset {
            None => None,
            Some(word) => Some(ApplySet::find(&connection, word).await.context("nothing was applied")?),
        };
        let work = Work { args, connection: &connection, stages: &stages };
        work.all(set.as_mut()).await
    })
}

/// The server, and the manifests in their stages. None if they are bad, which was told.
fn begin(args: &Apply) -> Result<Option<(Connection, Vec<Vec<Manifest>>)>> {
    let recursion = if args.recursive { Recursion::Deep } else { Recursion::Flat };
    let good = match manifests::read(&args.paths, recursion)? {
        Outcome::Good(good) => good,
        Outcome::Bad(bad) => return nothing(args, &bad).map(|_| None),
    };
    // All objects of a set may leave it; without one, there is nothing to do.
    if good.is_empty() && !args.prune {
        bail!("nothing to apply: there is no object in what was given");
    }
    let connection = connect(&args.target)?;
    let mut strangers = strangers(args, &good);
    if args.prune {
        strangers.extend(good.iter().filter_map(labelled));
    }
    if !strangers.is_empty() {
        return nothing(args, &strangers).map(|_| None);
    }
    Ok(Some((connection, order::stages(good))))
}

/// What an apply would make of each object, in its order. None if it would be refused, which was told.
pub(super) fn tried(args: &Apply) -> Result<Option<Vec<(Kind, Done)>>> {
    let Some((connection, stages)) = begin(args)? else { return Ok(None) };
    let work = Work { args, connection: &connection, stages: &stages };
    let progress = Progress::new(0);
    let checked = match block_on(async { Ok(work.check(None, &progress).await?) })? {
        Ok(checked) => checked,
        Err(refused) => return nothing(args, &refused).map(|_| None),
    };
    let all = stages.iter().zip(checked).flat_map(|(stage, checked)| stage.iter().zip(checked));
    let tried = all.map(|(manifest, checked)| {
        // Its namespace is still to be made: nobody has anything against it that could be told here.
        (manifest.kind, checked.unwrap_or_else(|| Done::created(manifest)))
    });
    Ok(Some(tried.collect()))
}

/// What is to be done.
#[derive(Clone, Copy)]
struct Work<'a> {
    args: &'a Apply,
    connection: &'a Connection,
    stages: &'a [Vec<Manifest>],
}

impl Work<'_> {
    async fn all(self, mut set: Option<&mut ApplySet>) -> Result<ExitCode> {
        let Self { args, connection, stages } = self;
        let total = stages.iter().map(Vec::len).sum();
        let id = set.as_ref().map(|set| set.id.clone());
        let progress = Progress::new(total);
        // One object needs no try: its own write is all or nothing.
        let alone = total == 1 && args.dry_run == DryRun::None && set.is_none();
        let checked = if alone {
            vec![vec![None]]
        } else {
            match self.check(id.as_deref(), &progress).await {
                Ok(Ok(checked)) => checked,
                Ok(Err(refused)) => {
                    progress.end();
                    return nothing(args, &refused);
                }
                Err(error) => return Err(anyhow::Error::from(error).context("nothing was applied")),
            }
        };
        let latest = set.as_ref().map(|set| prune::contents(set, connection, stages)).unwrap_or_default();
        let kept = args.dry_run == DryRun::None;
        let widest = set.as_ref().map(|set| prune::union(latest.clone(), &set.held)).unwrap_or_default();
        if let Some(set) = set.as_deref_mut()
            && kept
        {
            set.note(connection, widest.clone()).await.context("nothing was applied")?;
        }
        let mut changed = Changed::new(args.output, args.dry_run);
        if let Some(code) = self.keep(id.as_deref(), (checked, &progress), &mut changed).await? {
            return Ok(code);
        }
        if let Some(set) = set {
            for left in prune::left(set, connection, (&widest, stages)).await? {
                if kept {
                    let shown = left.shown();
                    prune::prune(connection, &left)
                        .await
                        .with_context(|| format!("{shown} was not pruned"))?;
                }
                changed.gone(left.kind, &left.name, "pruned")?;
            }
            if kept {
                set.note(connection, latest).await?;
            }
        }
        changed.end()?;
        Ok(ExitCode::SUCCESS)
    }

    fn applier<'s>(&'s self, set: Option<&'s str>) -> As<'s> {
        As { manager: &self.args.field_manager, force: self.args.force_conflicts, set }
    }
}

/// Labels of apply sets are this command's to write.
fn labelled(manifest: &Manifest) -> Option<Diagnostic> {
    let labels = manifest.document.value.pointer("/metadata/labels")?;
    let label = [apply_set::PART_OF, apply_set::ID].into_iter().find(|label| labels.get(label).is_some())?;
    let path = FieldPath::parse("metadata.labels").key(label);
    let message = format!("{label} is written by the apply itself");
    Some(manifest.document.error_at_key(&path, message).help("delete the label"))
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

impl Work<'_> {
    /// Tries every object. What is in a namespace that this set makes cannot be tried yet: that is none.
    async fn check(
        self,
        set: Option<&str>,
        progress: &Progress,
    ) -> Result<Result<Checked, Vec<Diagnostic>>, Error> {
        let Self { args, connection, stages } = self;
        let made: BTreeSet<&str> = stages
            .iter()
            .flatten()
            .filter(|manifest| manifest.kind == Kind::Namespace)
            .map(|manifest| manifest.document.name.as_str())
            .collect();
        let word = if args.dry_run == DryRun::Client { Word::Guess } else { Word::Try };
        let mut sending = Sending::new(connection, self.applier(set), word);
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
                    Ok(result) => {
                        refused.extend(set.and_then(|set| refused::of_another_set(manifest, &result, set)));
                        done.push(Some(result));
                    }
                    Err(error) if refused::lacks_namespace(&error, &made) => done.push(None),
                    Err(error) => refused.extend(refused::diagnostics(manifest, error)?),
                }
            }
            checked.push(done);
        }
        Ok(if refused.is_empty() { Ok(checked) } else { Err(refused) })
    }

    /// Makes the changes that the check found, stage by stage, and says each. An exit code, if it was stopped.
    async fn keep(
        self,
        set: Option<&str>,
        (checked, progress): (Checked, &Progress),
        changed: &mut Changed,
    ) -> Result<Option<ExitCode>> {
        let Self { args, connection, stages } = self;
        let sending = Sending::new(connection, self.applier(set), Word::Keep);
        let (mut kept, total) = (0, stages.iter().map(Vec::len).sum::<usize>());
        for (stage, checked) in stages.iter().zip(checked) {
            let sent = stage.iter().zip(checked).map(|(manifest, checked)| {
                let sending = &sending;
                async move {
                    let done = match checked {
                        Some(done) if args.dry_run != DryRun::None || done.word == "unchanged" => Ok(done),
                        None if args.dry_run != DryRun::None => Ok(Done::created(manifest)),
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
                        return stopped(args, manifest, error, (kept, total)).map(Some);
                    }
                };
                kept += 1;
                progress.aside(|| changed.say(manifest.kind, done.object, done.word))?;
            }
        }
        progress.end();
        Ok(None)
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
    if args.output == Some(NameOrData::Json) {
        let diagnostics: Vec<Value> = found.iter().map(Diagnostic::to_json).collect();
        terminal::report(&format!("{}\n", json!({ "error": said, "diagnostics": diagnostics })))?;
    } else {
        manifests::tell(found, said);
    }
    Ok(ExitCode::FAILURE)
}

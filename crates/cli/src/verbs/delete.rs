//! `drover delete`: objects by name, by selector or by manifest; then, unless told otherwise, until they are gone.
//!
//! Absent on purpose: grace periods and force. How long a process may take to end is its template's
//! `terminationGracePeriod`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use drover_client::{Client, DeleteOptions, EventKind, ListOptions};
use drover_manifest::Recursion;
use drover_types::Kind;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::chosen::{Choice, Chosen};
use crate::command_line::{Cascade, Delete};
use crate::connect::{Connection, block_on, collection_path, connect};
use crate::failure::{Failures, usage};
use crate::follow::Follow;
use crate::manifests::{self, Outcome};
use crate::terminal;
use crate::waiting::Until;
use drover_columns::fields::text;

/// Requests under way at once.
const IN_FLIGHT: usize = 32;

pub(crate) fn run(args: &Delete) -> Result<ExitCode> {
    if args.now || args.force || args.grace_period.is_some() {
        return Err(usage(
            "--now, --force and --grace-period are not supported: a process has its template's \
             terminationGracePeriod to end",
        ));
    }
    let Some(from_files) = manifests(args)? else { return Ok(ExitCode::FAILURE) };
    let connection = connect(&args.target)?;
    block_on(async {
        let doomed = match from_files {
            Some(found) => placed(found, &connection),
            None => named(args, &connection).await?,
        };
        all(args, &connection.client, &doomed).await
    })
}

type FromFiles = Vec<(Kind, Option<String>, String)>;

/// The objects of the manifests, the last first, so that a namespace goes after what is in it. Nothing in the outer
/// option: the manifests are bad, and that was told. Nothing in the inner one: none were given.
fn manifests(args: &Delete) -> Result<Option<Option<FromFiles>>> {
    if args.paths.is_empty() {
        return Ok(Some(None));
    }
    let recursion = if args.recursive { Recursion::Deep } else { Recursion::Flat };
    match manifests::read(&args.paths, recursion)? {
        Outcome::Good(mut good) => {
            good.sort_by_key(|manifest| {
                std::cmp::Reverse(Kind::ALL.iter().position(|kind| *kind == manifest.kind))
            });
            let found = good.into_iter().map(|manifest| {
                (manifest.kind, manifest.document.namespace.clone(), manifest.document.name.clone())
            });
            Ok(Some(Some(found.collect())))
        }
        Outcome::Bad(bad) => {
            manifests::tell(&bad, "nothing was deleted");
            Ok(None)
        }
    }
}

fn placed(found: FromFiles, connection: &Connection) -> Vec<Chosen> {
    found
        .into_iter()
        .map(|(kind, namespace, name)| Chosen {
            kind,
            namespace: namespace.unwrap_or_else(|| connection.namespace.clone()),
            name,
        })
        .collect()
}

async fn named(args: &Delete, connection: &Connection) -> Result<Vec<Chosen>> {
    let choice =
        Choice { selector: args.selector.clone(), all: args.all, all_namespaces: args.all_namespaces };
    let doomed = choice.of(&args.what, connection, "deleted").await?;
    if doomed.is_empty() {
        terminal::tell("nothing to delete");
    }
    Ok(doomed)
}

/// Deletes in order, several at once; every failure is told, and the last is the command's.
async fn all(args: &Delete, client: &Client, doomed: &[Chosen]) -> Result<ExitCode> {
    let deadline = (!args.timeout.is_zero()).then(|| tokio::time::Instant::now() + args.timeout.to_std());
    let gone = doomed.iter().map(|one| async move {
        let work = delete(args, client, one);
        let done = match deadline {
            None => work.await,
            Some(deadline) => match tokio::time::timeout_at(deadline, work).await {
                Ok(done) => done,
                Err(_) => Err(still_there(args, client, one).await),
            },
        };
        (one, done)
    });
    let mut gone = stream::iter(gone).buffered(IN_FLIGHT);
    let mut failures = Failures::default();
    while let Some((one, done)) = gone.next().await {
        match done {
            Ok(None) => {}
            Ok(Some(word)) => {
                let shown = one.shown();
                let line =
                    if args.output.is_some() { format!("{shown}\n") } else { format!("{shown} {word}\n") };
                terminal::report(&line)?;
            }
            Err(error) => failures.add(error),
        }
    }
    failures.end()
}

/// That an object is not gone in time, and what holds it.
async fn still_there(args: &Delete, client: &Client, one: &Chosen) -> anyhow::Error {
    let path = one.path();
    let live: Option<Value> = client.get(&path).await.ok();
    let why = live.map(|object| format!(": {}", Until::Deleted.instead(Some(&object))));
    anyhow!("{} is not gone after {}{}", one.shown(), args.timeout, why.unwrap_or_default())
}

/// Deletes one object and says what became of it; none if it was not there and that is no error.
async fn delete(args: &Delete, client: &Client, one: &Chosen) -> Result<Option<&'static str>> {
    let propagation = match args.cascade {
        Cascade::Background => "Background",
        Cascade::Foreground => "Foreground",
        Cascade::Orphan => "Orphan",
    };
    let options =
        DeleteOptions { propagation_policy: Some(propagation.to_owned()), ..DeleteOptions::default() };
    let answer = match client.delete(&one.path(), &options).await {
        Ok(answer) => answer,
        Err(error) if error.is_not_found() && args.ignore_not_found => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // A Status means it is gone; the object itself comes back while a finalizer holds it.
    if answer["kind"] == "Status" {
        return Ok(Some("deleted"));
    }
    if !args.wait {
        return Ok(Some("deleting: a finalizer holds it"));
    }
    until_gone(client, one, &answer).await?;
    Ok(Some("deleted"))
}

/// Waits until the object is gone, or another one has its name. What holds it is said if that takes a while.
async fn until_gone(client: &Client, one: &Chosen, held: &Value) -> Result<()> {
    const A_WHILE: Duration = Duration::from_secs(5);
    let uid = text(held, "/metadata/uid");
    let options =
        ListOptions { field_selector: Some(format!("metadata.name={}", one.name)), ..ListOptions::default() };
    let (found, mut follow) =
        Follow::begin(client, &collection_path(one.kind, Some(&one.namespace)), options).await?;
    let mut live = found.into_iter().find(|object| text(object, "/metadata/uid") == uid);
    let mut told = false;
    while let Some(object) = live {
        let seen = if told {
            follow.next().await?
        } else {
            match tokio::time::timeout(A_WHILE, follow.next()).await {
                Ok(seen) => seen?,
                Err(_) => {
                    told = true;
                    let why = Until::Deleted.instead(Some(&object));
                    terminal::tell(&format!("waiting for {} to go: {why}", one.shown()));
                    live = Some(object);
                    continue;
                }
            }
        };
        let gone = seen.kind == EventKind::Deleted;
        live = (!gone && text(&seen.object, "/metadata/uid") == uid).then_some(seen.object);
    }
    Ok(())
}

//! `drover apply -f PATH`: create or replace. Every manifest is read and checked before the first is sent.
//!
//! Absent so far: field ownership (server-side apply) and pruning.

use std::process::ExitCode;

use anyhow::Result;
use drover_client::{Client, Error};
use drover_manifest::{FieldPath, Recursion};
use drover_types::{Kind, Scope};
use serde_json::{Value, json};

use crate::command_line::Apply;
use crate::connect::{block_on, connect, object_path};
use crate::manifests::{self, Manifest, Outcome};
use crate::terminal;

pub(crate) fn run(args: &Apply) -> Result<ExitCode> {
    let recursion = if args.recursive { Recursion::Deep } else { Recursion::Flat };
    let mut good = match manifests::read(&args.paths, recursion)? {
        Outcome::Good(good) => good,
        Outcome::Bad(bad) => {
            for diagnostic in &bad {
                eprintln!("{}", diagnostic.render(terminal::stderr_colour(), terminal::width()));
            }
            eprintln!("nothing was applied");
            return Ok(ExitCode::FAILURE);
        }
    };
    // Namespaces before what lives in them, config before what names it.
    good.sort_by_key(|manifest| Kind::ALL.iter().position(|kind| *kind == manifest.kind));
    let connection = connect(&args.target)?;
    block_on(async {
        for manifest in &good {
            match apply(&connection.client, &connection.namespace, manifest).await {
                Ok(word) => {
                    println!("{}/{} {word}", manifest.kind.names().singular, manifest.document.name);
                }
                Err(error) => return refused(manifest, error),
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Brings one object to the server, and says what that changed.
async fn apply(client: &Client, default: &str, manifest: &Manifest) -> Result<&'static str, Error> {
    let kind = manifest.kind;
    let namespace = manifest.document.namespace.as_deref().unwrap_or(default);
    let mut body = manifest.document.value.clone();
    if kind.names().scope == Scope::Namespaced {
        body["metadata"]["namespace"] = json!(namespace);
    }
    let path = object_path(kind, namespace, &manifest.document.name);
    let live: Value = match client.get(&path).await {
        Ok(live) => live,
        Err(error) if error.is_not_found() => {
            let _: Value = client.create(&kind.path(Some(namespace)), &body).await?;
            return Ok("created");
        }
        Err(error) => return Err(error),
    };
    // What others hold on to stays: a manifest that is silent about it does not take it away.
    for kept in ["resourceVersion", "finalizers", "ownerReferences"] {
        if body["metadata"].get(kept).is_none() && live["metadata"].get(kept).is_some() {
            body["metadata"][kept] = live["metadata"][kept].clone();
        }
    }
    let stored: Value = client.replace(&path, &body).await?;
    let same = stored["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"];
    Ok(if same { "unchanged" } else { "configured" })
}

/// The server's no, pointed at in the file where it names a field.
fn refused(manifest: &Manifest, error: Error) -> Result<ExitCode> {
    let Some(details) = error.api().and_then(|api| api.status.details.as_ref()) else {
        return Err(error.into());
    };
    if details.causes.iter().all(|cause| cause.field.is_empty()) {
        return Err(error.into());
    }
    for cause in &details.causes {
        let message = format!("{}: {}", cause.field, cause.message);
        let diagnostic = manifest.document.error_at(&FieldPath::parse(&cause.field), message);
        eprintln!("{}", diagnostic.render(terminal::stderr_colour(), terminal::width()));
    }
    Ok(ExitCode::FAILURE)
}

//! `drover scale`: how many of something there are to be.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use drover_client::{Error, PatchKind, Query};
use serde_json::{Value, json};

use crate::changed::Changed;
use crate::chosen::Chosen;
use crate::command_line::{DryRun, Scale};
use crate::connect::{Connection, block_on, connect};
use crate::failure::Failures;
use crate::terminal;
use drover_columns::fields::text;

const MANAGER: &str = "drover-scale";

pub(crate) fn run(args: &Scale) -> Result<ExitCode> {
    let connection = connect(&args.how.target)?;
    block_on(async {
        let chosen = args.choice.of(&args.what, &connection, "scaled").await?;
        if chosen.is_empty() {
            terminal::tell("no object is scaled: none was found");
        }
        let mut changed = Changed::new(args.how.output, args.how.dry_run);
        let mut failures = Failures::default();
        for one in &chosen {
            match scale(args, &connection, one).await {
                Ok(scale) => changed.say(one.kind, scale, "scaled")?,
                Err(error) => failures.add(error.context(one.shown())),
            }
        }
        changed.end()?;
        failures.end()
    })
}

async fn scale(args: &Scale, connection: &Connection, one: &Chosen) -> Result<Value> {
    let path = format!("{}/scale", one.path());
    // A path that is not there has no Status with it: the kind has no count.
    let no_count = |error: Error| match error.api() {
        Some(api) if error.is_not_found() && api.status.details.is_none() => {
            anyhow!("a {} has no count that can be changed", one.kind.names().kind)
        }
        _ => error.into(),
    };
    let mut patch = json!({"spec": {"replicas": args.replicas}});
    if args.current_replicas.is_some() || args.how.dry_run == DryRun::Client {
        let mut live: Value = connection.client.get(&path).await.map_err(no_count)?;
        let now = live["spec"]["replicas"].as_u64().unwrap_or(0);
        if let Some(expected) = args.current_replicas.filter(|expected| u64::from(*expected) != now) {
            bail!("there are to be {now} now, not {expected}: nothing was changed");
        }
        if args.how.dry_run == DryRun::Client {
            live["spec"]["replicas"] = args.replicas.into();
            return Ok(live);
        }
        patch["metadata"]["resourceVersion"] = text(&live, "/metadata/resourceVersion").into();
    }
    let query = Query::new(&path).with("fieldManager", MANAGER).with_some("dryRun", args.how.dry_run.asked());
    connection.client.patch(&query.into_path(), PatchKind::Merge, &patch).await.map_err(no_count)
}

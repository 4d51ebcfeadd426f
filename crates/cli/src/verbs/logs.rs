//! `drover logs`: one run's output as it is, or that of a workload's runs, line by line.

use std::process::ExitCode;

use anyhow::{Result, bail};
use drover_types::Kind;
use serde_json::Value;

use crate::command_line::Logs;
use crate::connect::{Connection, block_on, connect, object_path};
use crate::failure::usage;
use crate::logs::{Ends, LogQuery, Prefix, Reader, Source, Workload, newest_call};
use crate::resources::{self, shown};
use crate::terminal;
use drover_columns::fields::text;
use drover_columns::task_state;

pub(crate) fn run(args: &Logs) -> Result<ExitCode> {
    let (kind, name) = match args.what.contains('/') {
        true => resources::one(&args.what)?,
        false => (Kind::Run, args.what.clone()),
    };
    let connection = connect(&args.target)?;
    let reader = Reader {
        client: connection.client.clone(),
        namespace: connection.namespace.clone(),
        query: LogQuery {
            follow: args.follow,
            tail: args.tail,
            since: args.since,
            since_time: args.since_time,
            timestamps: args.timestamps,
        },
        prefix: match (args.prefix, args.no_prefix) {
            (true, _) => Prefix::Always,
            (_, true) => Prefix::Never,
            _ => Prefix::Auto,
        },
    };
    let good = block_on(async {
        match kind {
            Kind::Run => one(args, &connection, &reader, name).await,
            Kind::Timer | Kind::Task | Kind::Service => {
                workload(args, &connection, reader, (kind, name)).await
            }
            _ => Err(usage(format!(
                "a {} has no output; name a run, timer/X, task/X or service/X",
                kind.names().singular
            ))),
        }
    })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn one(args: &Logs, connection: &Connection, reader: &Reader, name: String) -> Result<bool> {
    let mut source = Source { node: String::new(), run: name };
    if args.prefix || args.node.is_some() {
        let path = object_path(Kind::Run, &connection.namespace, &source.run);
        source = Source::of(&connection.client.get::<Value>(&path).await?);
    }
    if let Some(node) = args.node.as_ref().filter(|node| **node != source.node) {
        bail!("run/{} is on node {:?}, not on {node:?}", source.run, source.node);
    }
    reader.print_all(&[source]).await
}

async fn workload(
    args: &Logs,
    connection: &Connection,
    reader: Reader,
    (kind, mut name): (Kind, String),
) -> Result<bool> {
    let object: Value = connection.client.get(&object_path(kind, &connection.namespace, &name)).await?;
    if kind == Kind::Task && is_on_demand(&object) {
        let Some(call) = newest_call(&connection.client, &connection.namespace, &object).await? else {
            bail!("task/{name} was never called, so there is no output; `drover run {name}` calls it");
        };
        terminal::tell(&format!("of the newest call, task/{call}:"));
        name = call;
    }
    let workload = Workload { kind, name, node: args.node.clone() };
    if args.follow {
        let ends = if kind == Kind::Task { Ends::WithTask } else { Ends::Never };
        return workload.follow(reader, ends).await.map(|(_, good)| good);
    }
    let sources = workload.newest(&reader).await?;
    if sources.is_empty() {
        let on = args.node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
        bail!("{} has not run yet{on}", shown(kind, &workload.name));
    }
    reader.print_all(&sources).await
}

fn is_on_demand(task: &Value) -> bool {
    // A child has the params of its task, and is Once all the same.
    text(task, "/spec/mode") == "OnDemand" || task_state(task) == "Callable"
}

//! `drover wait --for=...`: returns once it has held of every object, and fails with what there is instead if it does
//! not in time.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use drover_client::{EventKind, List, ListOptions};
use drover_types::Kind;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::command_line::Wait;
use crate::connect::{Connection, block_on, collection_path, connect};
use crate::failure::{Failures, usage};
use crate::follow::Follow;
use crate::resources::{self, shown};
use crate::terminal;
use drover_columns::fields::name;

pub(crate) fn run(args: &Wait) -> Result<ExitCode> {
    let wanted = resources::parse(&args.what)?;
    let connection = connect(&args.target)?;
    block_on(async {
        let mut waits: BTreeMap<Kind, Waiting> = BTreeMap::new();
        for named in wanted {
            let names = match (named.names.is_empty(), args.all || args.selector.is_some()) {
                (true, false) => return Err(usage("name the objects, or give a selector (-l) or --all")),
                (false, true) => {
                    return Err(usage("a name cannot be given together with a selector or --all"));
                }
                (false, false) => named.names,
                (true, true) => select(args, &connection, named.kind).await?,
            };
            waits.entry(named.kind).or_default().extend(names.into_iter().map(|name| (name, State::Unseen)));
        }
        let deadline = Instant::now() + args.timeout.to_std();
        let waits =
            waits.into_iter().map(|(kind, objects)| wait(args, &connection, (kind, objects), deadline));
        let mut failures = Failures::default();
        join_all(waits).await.into_iter().filter_map(Result::err).for_each(|error| failures.add(error));
        failures.end()
    })
}

/// Objects by name, and how far each is.
type Waiting = BTreeMap<String, State>;

enum State {
    /// It is not there, as far as is known.
    Unseen,
    /// As it was last; it does not hold of it.
    Not(Box<Value>),
    /// It held.
    Met,
}

async fn select(args: &Wait, connection: &Connection, kind: Kind) -> Result<Vec<String>> {
    let options = ListOptions { label_selector: args.selector.clone(), ..ListOptions::default() };
    let path = collection_path(kind, Some(&connection.namespace));
    let list: List<Value> = connection.client.list(&path, &options).await?;
    if list.items.is_empty() {
        bail!("no matching {} found", kind.names().plural);
    }
    Ok(list.items.iter().map(|object| name(object).to_owned()).collect())
}

/// Waits for objects of one kind, over one watch.
async fn wait(
    args: &Wait,
    connection: &Connection,
    (kind, mut objects): (Kind, Waiting),
    deadline: Instant,
) -> Result<()> {
    let only = objects.keys().next().filter(|_| objects.len() == 1);
    let options = ListOptions {
        field_selector: only.map(|name| format!("metadata.name={name}")),
        ..ListOptions::default()
    };
    let path = collection_path(kind, Some(&connection.namespace));
    let (found, mut follow) = Follow::begin(&connection.client, &path, options).await?;
    for object in found {
        look(args, kind, &mut objects, (name(&object).to_owned(), Some(object)))?;
    }
    let unseen: Vec<String> = objects
        .iter()
        .filter(|(_, state)| matches!(state, State::Unseen))
        .map(|(name, _)| name.clone())
        .collect();
    for name in unseen {
        look(args, kind, &mut objects, (name, None))?;
    }
    while objects.values().any(|state| !matches!(state, State::Met)) {
        let Ok(seen) = timeout_at(deadline, follow.next()).await else {
            return Err(in_vain(args, kind, &objects));
        };
        let seen = seen?;
        let name = name(&seen.object).to_owned();
        let object = (seen.kind != EventKind::Deleted).then_some(seen.object);
        look(args, kind, &mut objects, (name, object))?;
    }
    Ok(())
}

/// Looks at an object, or at its absence, and says it when it holds.
fn look(
    args: &Wait,
    kind: Kind,
    objects: &mut Waiting,
    (name, object): (String, Option<Value>),
) -> Result<()> {
    let Some(state) = objects.get_mut(&name) else { return Ok(()) };
    if matches!(state, State::Met) {
        return Ok(());
    }
    *state = if args.until.holds(object.as_ref()) {
        terminal::print(&format!("{} {}\n", shown(kind, &name), args.until.done()))?;
        State::Met
    } else {
        object.map_or(State::Unseen, |object| State::Not(Box::new(object)))
    };
    Ok(())
}

/// What is said after the time is over: each object, and what there is instead.
fn in_vain(args: &Wait, kind: Kind, objects: &Waiting) -> anyhow::Error {
    let line = |(name, state): (&String, &State)| {
        let instead = match state {
            State::Met => return None,
            State::Unseen => args.until.instead(None),
            State::Not(object) => args.until.instead(Some(object)),
        };
        Some(format!("timed out after {} waiting for {}: {instead}", args.timeout, shown(kind, name)))
    };
    let lines: Vec<String> = objects.iter().filter_map(line).collect();
    anyhow!("{}", lines.join("\n"))
}

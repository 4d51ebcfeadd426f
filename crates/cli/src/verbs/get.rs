//! `drover get KIND [NAME]`.
//!
//! Absent so far: `--watch`, and columns of a kind's own.

use std::process::ExitCode;

use anyhow::Result;
use drover_client::{List, ListOptions};
use drover_types::{Kind, Scope};
use drover_world::World;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::command_line::{Format, Get};
use crate::connect::{block_on, connect, kind, object_path};

pub(crate) fn run(args: &Get) -> Result<ExitCode> {
    let kind = kind(&args.kind)?;
    let connection = connect(&args.target)?;
    let found: Vec<Value> = block_on(async {
        let client = &connection.client;
        if let Some(name) = &args.name {
            return Ok(vec![client.get(&object_path(kind, &connection.namespace, name)).await?]);
        }
        let namespace = (!args.all_namespaces).then_some(connection.namespace.as_str());
        let options = ListOptions { label_selector: args.selector.clone(), ..ListOptions::default() };
        let list: List<Value> = client.list(&kind.path(namespace), &options).await?;
        Ok(list.items)
    })?;
    match args.output {
        Format::Table => table(args, kind, &found),
        Format::Name => {
            for object in &found {
                println!("{}/{}", kind.names().singular, text(object, "name"));
            }
        }
        Format::Json => println!("{:#}", whole(args, found)),
        Format::Yaml => print!("{}", drover_manifest::emit(&whole(args, found))),
    }
    Ok(ExitCode::SUCCESS)
}

/// One object as itself, several as a `List`, as kubectl prints them.
fn whole(args: &Get, mut found: Vec<Value>) -> Value {
    if args.name.is_some() {
        return found.pop().unwrap_or(Value::Null);
    }
    json!({ "apiVersion": "v1", "kind": "List", "items": found })
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn table(args: &Get, kind: Kind, found: &[Value]) {
    if found.is_empty() {
        eprintln!("no {} found", kind.names().plural);
        return;
    }
    let spaces = args.all_namespaces && kind.names().scope == Scope::Namespaced;
    let now = World::system().clock.now();
    let mut rows = vec![["NAMESPACE".to_owned(), "NAME".to_owned(), "AGE".to_owned()]];
    rows.extend(found.iter().map(|object| {
        let created = text(object, "creationTimestamp").parse::<Timestamp>().ok();
        let age =
            created.map_or("<unknown>".to_owned(), |created| age(now.duration_since(created).as_secs()));
        [text(object, "namespace").to_owned(), text(object, "name").to_owned(), age]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1)];
    for [namespace, name, age] in &rows {
        if spaces {
            print!("{namespace:0$}   ", widths[0]);
        }
        println!("{name:0$}   {age}", widths[1]);
    }
}

/// An age in its largest unit.
fn age(seconds: i64) -> String {
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

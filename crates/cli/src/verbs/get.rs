//! `drover get`: objects by kind or name, in a table or as data, once or as they change.

use std::cmp::Ordering;
use std::process::ExitCode;

use anyhow::Result;
use drover_client::{List, ListOptions};
use drover_types::{Kind, Scope};
use drover_world::World;
use serde_json::Value;

use crate::command_line::{Format, Get};
use crate::connect::{Connection, block_on, collection_path, connect, object_path};
use crate::failure::usage;
use crate::follow::Follow;
use crate::jsonpath::Path;
use crate::output::{Printer, document};
use crate::resources::{self, Named, shown};
use crate::terminal;

pub(crate) fn run(args: &Get) -> Result<ExitCode> {
    let wanted = resources::parse(&args.what)?;
    let by_name = wanted.iter().any(|named| !named.names.is_empty());
    let selects = args.selector.is_some() || args.field_selector.is_some();
    if by_name && (selects || args.all_namespaces) {
        return Err(usage("a name cannot be given together with a selector or --all-namespaces"));
    }
    let connection = connect(&args.target)?;
    if args.watch {
        let [only] = wanted.as_slice() else {
            return Err(usage("--watch takes one kind, and one name at most"));
        };
        if only.names.len() > 1 || args.sort_by.is_some() {
            return Err(usage("--watch takes one name at most, and no --sort-by"));
        }
        return block_on(watch(args, &connection, only));
    }
    let (groups, failures) = block_on(fetch(args, &connection, &wanted))?;
    let single = wanted.len() == 1 && wanted[0].names.len() == 1;
    print(args, &connection, groups, single)?;
    match failures.into_iter().next() {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error),
    }
}

/// What there is of each kind, and what was named and is not there. All but the last failure is told at once.
async fn fetch(
    args: &Get,
    connection: &Connection,
    wanted: &[Named],
) -> Result<(Vec<(Kind, Vec<Value>)>, Vec<anyhow::Error>)> {
    let (mut groups, mut failures) = (Vec::new(), Vec::new());
    for named in wanted {
        let mut found = Vec::new();
        if named.names.is_empty() {
            let list: List<Value> =
                connection.client.list(&path(args, connection, named.kind), &options(args)).await?;
            found = list.items;
        }
        for name in &named.names {
            let path = object_path(named.kind, &connection.namespace, name);
            match connection.client.get(&path).await {
                Ok(object) => found.push(object),
                Err(error) if error.is_not_found() && args.ignore_not_found => {}
                Err(error) if error.is_not_found() => {
                    if let Some(earlier) = failures.pop() {
                        terminal::complain(&format!("{earlier:#}"));
                    }
                    failures.push(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        groups.push((named.kind, found));
    }
    Ok((groups, failures))
}

fn path(args: &Get, connection: &Connection, kind: Kind) -> String {
    collection_path(kind, (!args.all_namespaces).then_some(connection.namespace.as_str()))
}

fn options(args: &Get) -> ListOptions {
    ListOptions {
        label_selector: args.selector.clone(),
        field_selector: args.field_selector.clone(),
        limit: None,
    }
}

fn print(
    args: &Get,
    connection: &Connection,
    mut groups: Vec<(Kind, Vec<Value>)>,
    single: bool,
) -> Result<()> {
    if let Some(path) = &args.sort_by {
        groups.iter_mut().for_each(|(_, found)| sort(found, path));
    }
    let all =
        |groups: Vec<(Kind, Vec<Value>)>| groups.into_iter().flat_map(|(_, found)| found).collect::<Vec<_>>();
    match &args.output {
        Format::Json | Format::Yaml | Format::JsonPath(_) => {
            let found = all(groups);
            if found.is_empty() && single {
                return Ok(());
            }
            let whole = document(single, found);
            match &args.output {
                Format::Yaml => terminal::print(&drover_manifest::emit(&whole)),
                Format::JsonPath(template) => terminal::print(&template.fill(&whole)),
                _ => terminal::print(&format!("{whole:#}\n")),
            }
        }
        Format::Table | Format::Wide | Format::Name | Format::Custom(_) => tables(args, connection, groups),
    }
}

fn tables(args: &Get, connection: &Connection, mut groups: Vec<(Kind, Vec<Value>)>) -> Result<()> {
    let now = World::system().clock.now();
    let searched: Vec<Kind> = groups.iter().map(|(kind, _)| *kind).collect();
    groups.retain(|(_, found)| !found.is_empty());
    if groups.is_empty() && args.output != Format::Name && !args.ignore_not_found {
        let kinds: Vec<&str> = searched.iter().map(|kind| kind.names().plural).collect();
        let space = match searched.as_slice() {
            [kind] if kind.names().scope == Scope::Cluster => String::new(),
            _ if args.all_namespaces => String::new(),
            _ => format!(" in namespace {}", connection.namespace),
        };
        // After a name that is not there, the error says it.
        if !args.what.iter().any(|word| word.contains('/')) && args.what.len() == 1 {
            terminal::tell(&format!("no {} found{space}", kinds.join(", ")));
        }
        return Ok(());
    }
    let several = searched.len() > 1 && args.output != Format::Name;
    for (at, (kind, found)) in groups.iter().enumerate() {
        if at > 0 && several {
            terminal::print("\n")?;
        }
        let mut found = found.clone();
        if several && !matches!(args.output, Format::Custom(_)) {
            // Which kind a table is of is seen by its names, as with kubectl.
            for object in &mut found {
                let name = shown(*kind, drover_columns::fields::name(object));
                object["metadata"]["name"] = name.into();
            }
        }
        let mut printer =
            Printer::new(*kind, &args.output, args.all_namespaces).without_headers(args.no_headers);
        terminal::print(&printer.print(&found, now))?;
    }
    Ok(())
}

/// By the first value that the path leads to; numbers as numbers, what has none first.
fn sort(found: &mut [Value], path: &Path) {
    let order = |a: &Value, b: &Value| match (path.find(a).first(), path.find(b).first()) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        _ => path.text(a).cmp(&path.text(b)),
    };
    found.sort_by(order);
}

async fn watch(args: &Get, connection: &Connection, wanted: &Named) -> Result<ExitCode> {
    let mut options = options(args);
    if let Some(name) = wanted.names.first() {
        options.field_selector = Some(format!("metadata.name={name}"));
    }
    let path = path(args, connection, wanted.kind);
    let (found, mut follow) = Follow::begin(&connection.client, &path, options).await?;
    if let ([], Some(name)) = (found.as_slice(), wanted.names.first()) {
        // The server says best that there is no such object.
        let _: Value = connection.client.get(&object_path(wanted.kind, &connection.namespace, name)).await?;
    }
    let clock = World::system().clock;
    let mut printer =
        Printer::new(wanted.kind, &args.output, args.all_namespaces).without_headers(args.no_headers);
    if !found.is_empty() {
        terminal::print(&printer.print(&found, clock.now()))?;
    }
    loop {
        let seen = follow.next().await?;
        terminal::print(&printer.print(&[seen.object], clock.now()))?;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_sort_as_numbers_and_what_has_none_comes_first() {
        let mut found = vec![json!({"n": 10}), json!({"n": 9}), json!({})];
        sort(&mut found, &Path::parse(".n").unwrap());
        assert_eq!(found, [json!({}), json!({"n": 9}), json!({"n": 10})]);
    }
}

//! `drover events`: what happened, the oldest first, and with `--watch` what happens.

use std::process::ExitCode;

use anyhow::Result;
use drover_client::ListOptions;
use drover_types::{Kind, Scope};
use drover_world::World;

use crate::command_line::{Events, Format};
use crate::connect::{block_on, collection_path, connect};
use crate::follow::Follow;
use crate::output::{Printer, document};
use crate::resources;
use crate::terminal;
use drover_columns::last_seen;

/// Events about cluster-wide objects are kept here.
const CLUSTER_EVENTS: &str = "default";

pub(crate) fn run(args: &Events) -> Result<ExitCode> {
    let about = args.about.as_deref().map(resources::one).transpose()?;
    let connection = connect(&args.target)?;
    let cluster = about.as_ref().is_some_and(|(kind, _)| kind.names().scope == Scope::Cluster);
    let space = match (args.all_namespaces, cluster) {
        (true, _) => None,
        (false, true) => Some(CLUSTER_EVENTS),
        (false, false) => Some(connection.namespace.as_str()),
    };
    let options = ListOptions {
        field_selector: about.map(|(kind, name)| {
            format!("involvedObject.kind={},involvedObject.name={name}", kind.names().kind)
        }),
        ..ListOptions::default()
    };
    let path = collection_path(Kind::Event, space);
    block_on(async {
        let (mut found, mut follow) = Follow::begin(&connection.client, &path, options).await?;
        found.sort_by_key(last_seen);
        let clock = World::system().clock;
        let mut printer =
            Printer::new(Kind::Event, &args.output, args.all_namespaces).without_headers(args.no_headers);
        if !args.watch {
            return match &args.output {
                Format::Json => terminal::print(&format!("{:#}\n", document(false, found))),
                Format::Yaml => terminal::print(&drover_manifest::emit(&document(false, found))),
                Format::JsonPath(template) => terminal::print(&template.fill(&document(false, found))),
                _ if found.is_empty() => {
                    terminal::tell("no events found");
                    Ok(())
                }
                _ => terminal::print(&printer.print(&found, clock.now())),
            }
            .map(|()| ExitCode::SUCCESS);
        }
        if !found.is_empty() {
            terminal::print(&printer.print(&found, clock.now()))?;
        }
        loop {
            let seen = follow.next().await?;
            // An event that is forgotten did not happen again.
            if seen.kind != drover_client::EventKind::Deleted {
                terminal::print(&printer.print(&[seen.object], clock.now()))?;
            }
        }
    })
}

//! `drover describe`: a page for each object.

use std::process::ExitCode;

use anyhow::Result;
use drover_client::{List, ListOptions};
use drover_world::World;
use serde_json::Value;

use crate::command_line::Describe;
use crate::connect::{block_on, collection_path, connect, object_path};
use crate::describe::{gather, render};
use crate::failure::usage;
use crate::resources;
use crate::terminal;

pub(crate) fn run(args: &Describe) -> Result<ExitCode> {
    let wanted = resources::parse(&args.what)?;
    if wanted.iter().any(|named| !named.names.is_empty()) && (args.selector.is_some() || args.all_namespaces)
    {
        return Err(usage("a name cannot be given together with a selector or --all-namespaces"));
    }
    let connection = connect(&args.target)?;
    let client = &connection.client;
    block_on(async {
        let mut first = true;
        for named in wanted {
            let mut objects: Vec<Value> = Vec::new();
            for name in &named.names {
                objects.push(client.get(&object_path(named.kind, &connection.namespace, name)).await?);
            }
            if named.names.is_empty() {
                let space = (!args.all_namespaces).then_some(connection.namespace.as_str());
                let options = ListOptions { label_selector: args.selector.clone(), ..ListOptions::default() };
                let list: List<Value> = client.list(&collection_path(named.kind, space), &options).await?;
                objects = list.items;
                if objects.is_empty() {
                    terminal::tell(&format!("no {} found", named.kind.names().plural));
                }
            }
            for object in objects {
                let facts = gather(client, named.kind, object).await?;
                let page = render(named.kind, &facts, World::system().clock.now());
                if !std::mem::take(&mut first) {
                    terminal::print("\n\n")?;
                }
                terminal::print(&page)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

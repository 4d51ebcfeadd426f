//! `drover agent`: makes this host a node of a server elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use drover_node_agent::{NodeOptions, ServerAddress, run_node};

use super::local_agent::host_name;
use super::signals::Stop;
use super::{logging, settled};
use crate::command_line;
use crate::failure::usage;

/// No token file is longer.
const MAX_TOKEN: usize = 4096;

pub(crate) fn run(args: &command_line::Agent) -> Result<ExitCode> {
    let mut labels = BTreeMap::new();
    for label in &args.labels {
        let Some((key, value)) = label.split_once('=') else {
            return Err(usage(format!("--label {label:?} is not KEY=VALUE")));
        };
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(usage(format!("--label {key} is given twice")));
        }
    }
    logging::start("info")?;
    let name = args.node_name.clone().unwrap_or_else(host_name);
    let address = ServerAddress::Remote { url: args.server.clone() };
    let mut options = NodeOptions::new(address, &name, args.data_dir.clone());
    options.labels = labels;
    options.join_token = match (&args.token, &args.token_file) {
        (Some(token), None) => Some(token.trim().to_owned()),
        (None, Some(path)) => Some(read_token(path)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Stop::catch()?;
        settled::later();
        run_node(options, async move { stop.asked().await }).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn read_token(path: &Path) -> Result<String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN {
        bail!("{shown} does not hold a token");
    }
    Ok(token.to_owned())
}

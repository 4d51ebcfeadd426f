//! `drover version`: its own, and that of the server if there is one.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::command_line::{Output, Version};
use crate::connect::{block_on, configuration, connect};
use crate::terminal;
use drover_columns::fields::text;

/// A server that does not answer in this time is said not to.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &Version) -> Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    let asked = !args.client && configuration(&args.target).is_ok();
    let server = if asked { Some(server(args)) } else { None };
    match args.output {
        Output::Text => {
            terminal::print(&format!("drover {version}\n"))?;
            match server {
                None => {}
                Some(Ok(told)) => terminal::print(&format!("server {}\n", text(&told, "/gitVersion")))?,
                Some(Err(error)) => terminal::tell(&format!("the server's version is not known: {error:#}")),
            }
        }
        Output::Json => {
            let mut object = json!({ "version": version });
            match server {
                None => {}
                Some(Ok(told)) => object["server"] = told,
                Some(Err(error)) => object["serverError"] = format!("{error:#}").into(),
            }
            terminal::print(&format!("{object}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn server(args: &Version) -> Result<Value> {
    let client = connect(&args.target)?.client.with_deadline(PATIENCE);
    block_on(async { Ok(client.get("/version").await?) })
}

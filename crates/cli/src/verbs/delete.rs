//! `drover delete KIND NAME`.
//!
//! Absent so far: waiting until it is gone, and several at once.

use std::process::ExitCode;

use anyhow::Result;
use drover_client::DeleteOptions;

use crate::command_line::Delete;
use crate::connect::{block_on, connect, kind, object_path};

pub(crate) fn run(args: &Delete) -> Result<ExitCode> {
    let kind = kind(&args.kind)?;
    let connection = connect(&args.target)?;
    let path = object_path(kind, &connection.namespace, &args.name);
    let answer = block_on(async { Ok(connection.client.delete(&path, &DeleteOptions::default()).await?) })?;
    // A Status means it is gone; the object itself comes back while a finalizer holds it.
    let word = if answer["kind"] == "Status" { "deleted" } else { "deleting: a finalizer holds it" };
    println!("{}/{} {word}", kind.names().singular, args.name);
    Ok(ExitCode::SUCCESS)
}

//! `drover version`.

use std::process::ExitCode;

use anyhow::Result;

use crate::command_line::{Output, Version};

pub(crate) fn run(args: &Version) -> Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        Output::Text => println!("drover {version}"),
        Output::Json => println!("{}", serde_json::json!({ "version": version })),
    }
    Ok(ExitCode::SUCCESS)
}

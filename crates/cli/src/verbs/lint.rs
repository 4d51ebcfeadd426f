//! `drover lint -f PATH`: what `apply` would refuse before it asks the server, found without one.

use std::process::ExitCode;

use anyhow::Result;
use drover_manifest::Recursion;
use serde_json::{Value, json};

use crate::command_line::{Lint, Output};
use crate::manifests::{self, Outcome};
use crate::resources::shown;
use crate::terminal;

pub(crate) fn run(args: &Lint) -> Result<ExitCode> {
    let recursion = if args.recursive { Recursion::Deep } else { Recursion::Flat };
    match (manifests::read(&args.paths, recursion)?, args.output) {
        (Outcome::Good(good), Output::Text) => {
            for manifest in &good {
                terminal::print(&format!("{} ok\n", shown(manifest.kind, &manifest.document.name)))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        (Outcome::Good(good), Output::Json) => {
            let objects: Vec<&Value> = good.iter().map(|manifest| &manifest.value).collect();
            terminal::print(&format!("{}\n", json!({ "objects": objects, "diagnostics": [] })))?;
            Ok(ExitCode::SUCCESS)
        }
        (Outcome::Bad(bad), Output::Text) => {
            for diagnostic in &bad {
                terminal::tell(&diagnostic.render(terminal::stderr_colour(), terminal::width()));
            }
            let plural = if bad.len() == 1 { "error" } else { "errors" };
            terminal::tell(&format!("{} {plural}", bad.len()));
            Ok(ExitCode::FAILURE)
        }
        (Outcome::Bad(bad), Output::Json) => {
            let diagnostics: Vec<Value> = bad.iter().map(drover_manifest::Diagnostic::to_json).collect();
            terminal::print(&format!("{}\n", json!({ "objects": [], "diagnostics": diagnostics })))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

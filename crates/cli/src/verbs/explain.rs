//! `drover explain KIND[.FIELD]...`, from the same schemas that validate.

use std::process::ExitCode;

use anyhow::{Result, bail};
use drover_manifest::suggest;
use drover_types::{Kind, schema};

use crate::command_line::Explain;

pub(crate) fn run(args: &Explain) -> Result<ExitCode> {
    let (word, path) = args.path.split_once('.').unwrap_or((&args.path, ""));
    let Some(kind) = Kind::by_user_word(word) else {
        let known = Kind::ALL.map(|k| k.names().singular);
        match suggest(word, known) {
            Some(near) => bail!("no kind {word:?}; did you mean {near:?}?"),
            None => bail!("no kind {word:?}; there are {}", known.join(", ")),
        }
    };
    let Some(doc) = schema::explain(kind, path) else {
        bail!("{} has no field {path:?}", kind.names().kind);
    };
    println!("KIND:     {}\nVERSION:  {}\n", kind.names().kind, kind.api_version());
    if !path.is_empty() {
        println!("FIELD:    {path} <{}>\n", doc.type_);
    }
    println!("DESCRIPTION:\n     {}", doc.description);
    if !doc.fields.is_empty() {
        println!("\nFIELDS:");
        for field in &doc.fields {
            println!("   {}\t<{}>\n     {}", field.name, field.type_, field.description);
            if !field.values.is_empty() {
                println!("     one of {}", field.values.join(", "));
            }
            println!();
        }
    }
    Ok(ExitCode::SUCCESS)
}

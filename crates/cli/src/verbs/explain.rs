//! `drover explain KIND[.FIELD]...`, from the same schemas that validate.

use std::process::ExitCode;

use anyhow::{Result, bail};
use drover_manifest::suggest;
use drover_types::schema::{self, FieldDoc};
use drover_types::{Kind, Scope};

use crate::command_line::Explain;
use crate::resources;
use crate::terminal;

/// Fields within fields shown at most; a type that holds itself ends here.
const DEEPEST: usize = 12;

pub(crate) fn run(args: &Explain) -> Result<ExitCode> {
    let (word, path) = args.path.split_once('.').unwrap_or((&args.path, ""));
    let kind = resources::kind(word)?;
    let Some(doc) = schema::explain(kind, path) else { return unknown(kind, path) };
    let mut out = head(kind, path, &doc);
    if args.recursive && !doc.fields.is_empty() {
        out.push_str("\nFIELDS:\n");
        tree(kind, path, &doc, 0, &mut out);
    } else {
        out.push_str(&fields(&doc));
    }
    terminal::print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Says which part of the path is wrong, and what may have been meant.
fn unknown(kind: Kind, path: &str) -> Result<ExitCode> {
    let mut parent = path;
    while let Some((shorter, leaf)) = parent.rsplit_once('.').or((!parent.is_empty()).then_some(("", parent)))
    {
        if let Some(doc) = schema::explain(kind, shorter) {
            let name = kind.names().kind;
            let within = if shorter.is_empty() { name.to_owned() } else { format!("{name}.{shorter}") };
            let names: Vec<&str> = doc.fields.iter().map(|field| field.name.as_str()).collect();
            match suggest(leaf, names.iter().copied()) {
                Some(near) => bail!("{within} has no field {leaf:?}; did you mean {near:?}?"),
                None if names.is_empty() => bail!("{within} has no fields"),
                None => bail!("{within} has no field {leaf:?}; there are {}", names.join(", ")),
            }
        }
        parent = shorter;
    }
    bail!("{} has no field {path:?}", kind.names().kind)
}

fn head(kind: Kind, path: &str, doc: &FieldDoc) -> String {
    let names = kind.names();
    let mut out = format!("KIND:     {}\nVERSION:  {}\n", names.kind, kind.api_version());
    if path.is_empty() {
        let scope = match names.scope {
            Scope::Namespaced => "in a namespace",
            Scope::Cluster => "cluster-wide",
        };
        out.push_str(&format!("SCOPE:    {scope}\n"));
    } else {
        out.push_str(&format!("FIELD:    {path} <{}>\n", doc.type_));
    }
    out.push_str(&format!("\nDESCRIPTION:\n{}", wrapped(&doc.description, 2)));
    out.push_str(&values(doc, 2));
    out
}

fn values(doc: &FieldDoc, indent: usize) -> String {
    if doc.values.is_empty() {
        return String::new();
    }
    wrapped(&format!("One of {}.", doc.values.join(", ")), indent)
}

fn fields(doc: &FieldDoc) -> String {
    let mut out = String::new();
    if !doc.fields.is_empty() {
        out.push_str("\nFIELDS:\n");
    }
    for (at, field) in doc.fields.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&format!("  {}\n", title(field)));
        out.push_str(&wrapped(&field.description, 6));
        out.push_str(&values(field, 6));
    }
    out
}

fn title(field: &FieldDoc) -> String {
    let required = if field.required { " -required-" } else { "" };
    format!("{} <{}>{required}", field.name, field.type_)
}

/// Names and types of everything below, two columns further in for each level.
fn tree(kind: Kind, path: &str, doc: &FieldDoc, depth: usize, out: &mut String) {
    for field in &doc.fields {
        out.push_str(&format!("  {}{}\n", "  ".repeat(depth), title(field)));
        let below = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
        if depth < DEEPEST
            && let Some(inner) = schema::explain(kind, &below)
        {
            tree(kind, &below, &inner, depth + 1, out);
        }
    }
}

/// Words in lines of 78 columns at most.
fn wrapped(text: &str, indent: usize) -> String {
    const WIDTH: usize = 78;
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    if column > 0 {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let said = wrapped(&"word ".repeat(30), 4);
        assert!(said.lines().count() > 1 && said.ends_with("word\n"));
        assert!(said.lines().all(|line| line.starts_with("    word") && line.len() <= 78));
        assert_eq!(wrapped("", 2), "");
    }

    #[test]
    fn a_field_says_whether_it_must_be_there_and_what_it_may_be() {
        let doc = schema::explain(Kind::Timer, "spec").unwrap();
        let said = fields(&doc);
        assert!(said.contains("  template <Template> -required-\n"), "{said}");
        assert!(said.contains("One of Allow, Forbid, Replace, Queue."), "{said}");
        let mut all = String::new();
        tree(Kind::Timer, "spec", &doc, 0, &mut all);
        assert!(all.contains("\n      env <[]EnvVar>\n        name <string> -required-\n"), "{all}");
    }
}

//! `drover edit KIND NAME`: an object in an editor. What is changed there is sent as a merge patch, so that what is not
//! changed stays whose it is. A refusal opens the editor again with the error on top; what was written is never lost.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use drover_client::{PatchKind, Query};
use drover_manifest::{Limits, decode_value, emit};
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use crate::chosen::{self, Chosen};
use crate::command_line::{Edit, Written};
use crate::connect::{Connection, block_on, connect};
use crate::failure::usage;
use crate::terminal;

const MANAGER: &str = "drover-edit";
/// The same without an editor of one's own.
const EDITOR: &str = "vi";

const HEAD: &str = "\
# Edit the object below. Lines that begin with '#' are left out; an empty file, or one without a change, changes nothing.
# If what is saved is refused, this is opened again with the error on top.
";

pub(crate) fn run(args: &Edit) -> Result<ExitCode> {
    let connection = connect(&args.target)?;
    let (one, live) = block_on(async {
        let chosen = chosen::named(&args.what, &connection, "edited")?;
        let [one] = chosen.as_slice() else { return Err(usage("one object is edited at a time")) };
        Ok((one.clone(), connection.client.get::<Value>(&one.path()).await?))
    })?;
    let shown = shown(live);
    let end = if args.output == Written::Yaml { ".yaml" } else { ".json" };
    // For its owner's eyes: it may be a Secret.
    let file = tempfile::Builder::new().prefix("drover-edit-").suffix(end).tempfile()?;
    let mut text = written(&shown, args.output);
    let mut complaint = String::new();
    loop {
        fs::write(file.path(), format!("{complaint}{HEAD}{text}"))?;
        open(file.path())?;
        let after = fs::read_to_string(file.path()).context("what was saved cannot be read")?;
        let before = std::mem::replace(&mut text, without_comments(&after));
        if text.trim().is_empty() {
            terminal::tell("Edit cancelled, no changes made.");
            return Ok(ExitCode::SUCCESS);
        }
        if text == before && !complaint.is_empty() {
            return kept(file, "what was saved is still refused");
        }
        let refusal = match changes(&shown, &text) {
            Ok(None) => {
                terminal::tell("Edit cancelled, no changes made.");
                return Ok(ExitCode::SUCCESS);
            }
            Ok(Some(patch)) => match block_on(send(&connection, &one, &patch)) {
                Ok(()) => {
                    terminal::report(&format!("{} edited\n", one.shown()))?;
                    return Ok(ExitCode::SUCCESS);
                }
                // Whether the server would take it is not known.
                Err(error) if !is_refusal(&error) => {
                    let said = format!("{error:#}");
                    return kept(file, &said);
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        complaint = format!("{refusal:#}")
            .lines()
            .map(|line| format!("# error: {}\n", terminal::tame(line)))
            .collect();
        complaint.push_str("#\n");
    }
}

/// What a user sees of an object.
fn shown(mut live: Value) -> Value {
    if let Some(metadata) = live["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    live
}

fn written(object: &Value, form: Written) -> String {
    match form {
        Written::Yaml => emit(object),
        Written::Json => format!("{object:#}\n"),
    }
}

fn without_comments(text: &str) -> String {
    // Comments stand at the beginning of lines. One inside a block of text is of the object, and is indented there.
    text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect()
}

/// Lets the user edit a file. VISUAL and EDITOR may have arguments.
fn open(path: &Path) -> Result<()> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| EDITOR.to_owned());
    let ended = Command::new("/bin/sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .with_context(|| format!("the editor {editor:?} cannot be started"))?;
    if !ended.success() {
        bail!("the editor {editor:?} failed ({ended}): nothing was changed");
    }
    Ok(())
}

/// What was changed, as a merge patch.
fn changes(before: &Value, text: &str) -> Result<Option<Value>> {
    let after =
        decode_value("the file", text, &Limits::default()).map_err(|wrong| anyhow::anyhow!("{wrong}"))?;
    let Value::Object(_) = after else { bail!("what was saved is no object") };
    for fixed in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
        if before.pointer(fixed) != after.pointer(fixed) {
            bail!("{} cannot be changed", fixed.trim_start_matches('/').replace('/', "."));
        }
    }
    Ok(difference(before, &after))
}

/// The merge patch (RFC 7386) from one value to another.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        match old.get(name) {
            Some(held) => {
                if let Some(change) = difference(held, value) {
                    patch.insert(name.clone(), change);
                }
            }
            None => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

async fn send(connection: &Connection, one: &Chosen, patch: &Value) -> Result<()> {
    let query =
        Query::new(&one.path()).with("fieldManager", MANAGER).with("fieldValidation", "Strict").into_path();
    let _: Value = connection.client.patch(&query, PatchKind::Merge, patch).await?;
    Ok(())
}

fn is_refusal(error: &anyhow::Error) -> bool {
    let api = error.downcast_ref::<drover_client::Error>().and_then(|error| error.api());
    api.is_some_and(|api| matches!(api.status.code, 400 | 403 | 409 | 413 | 422))
}

/// Ends without the change, and leaves what was written where it is.
fn kept(file: NamedTempFile, why: &str) -> Result<ExitCode> {
    let mut copy = file.as_file();
    let _ = copy.flush();
    let (_, path) = file.keep().context("what was written cannot be kept")?;
    terminal::tell(&format!("a copy of your changes is in {}", path.display()));
    bail!("edit cancelled: {why}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_changed_is_sent() {
        let before = json!({"a": {"b": 1, "c": [1, 2], "d": "x"}, "e": 1});
        let after = json!({"a": {"b": 1, "c": [2], "n": {"o": 1}}, "e": 1});
        let patch = difference(&before, &after).unwrap();
        assert_eq!(patch, json!({"a": {"c": [2], "d": null, "n": {"o": 1}}}));
        assert_eq!(difference(&before, &before), None);
    }

    #[test]
    fn what_an_object_is_cannot_be_edited() {
        let before =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
        assert_eq!(changes(&before, &emit(&before)).unwrap(), None);
        for (from, to) in [("name: a", "name: b"), ("kind: ConfigMap", "kind: Secret")] {
            let refused = changes(&before, &emit(&before).replace(from, to)).unwrap_err();
            assert!(refused.to_string().contains("cannot be changed"), "{refused}");
        }
        assert!(changes(&before, "a: [").is_err() && changes(&before, "- 1\n").is_err());
        assert_eq!(without_comments("# a\nb: |\n  # c\n#d\n"), "b: |\n  # c\n");
    }
}

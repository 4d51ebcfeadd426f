//! `drover diff -f PATH`: what an apply would change, as the server tells it. 0 nothing, 1 something, 2 and more an error.

use std::process::ExitCode;

use anyhow::Result;
use drover_manifest::emit;
use drover_types::Kind;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use crate::command_line::{Apply, Diff, DryRun, NameOrData, Output};
use crate::failure::{self, Interrupted};
use crate::paint::{self, Paint};
use crate::terminal;
use crate::verbs::apply::{self, Done};
use drover_columns::fields::{name, namespace};

/// Differences are no failure and no success.
const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

/// Lines around a change.
const CONTEXT: usize = 3;

pub(crate) fn run(args: &Diff) -> Result<ExitCode> {
    match compare(args) {
        Err(error) if !error.is::<Interrupted>() => {
            failure::finish(Err(error), args.output == Output::Json);
            Ok(ExitCode::from(FAILED))
        }
        other => other,
    }
}

fn compare(args: &Diff) -> Result<ExitCode> {
    let apply = Apply {
        paths: args.paths.clone(),
        recursive: args.recursive,
        dry_run: DryRun::Server,
        output: (args.output == Output::Json).then_some(NameOrData::Json),
        force_conflicts: args.force_conflicts,
        field_manager: args.field_manager.clone(),
        server_side: true,
        target: args.target.clone(),
        ..Apply::default()
    };
    let Some(tried) = apply::tried(&apply)? else { return Ok(ExitCode::from(FAILED)) };
    let changes: Vec<_> = tried.into_iter().filter_map(|(kind, tried)| change(kind, tried)).collect();
    match args.output {
        Output::Json => {
            let told: Vec<Value> = changes.iter().map(Change::as_json).collect();
            terminal::print(&format!("{:#}\n", json!({"objects": told})))?;
        }
        Output::Text => {
            let colours = terminal::stdout_colour();
            for change in &changes {
                terminal::print(&change.as_text(colours))?;
            }
        }
    }
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

/// An object that is not as it would be.
struct Change {
    kind: Kind,
    namespace: String,
    name: String,
    /// As it is; none if it is not there.
    before: Option<Value>,
    after: Value,
}

fn change(kind: Kind, tried: Done) -> Option<Change> {
    let Done { word, object, live } = tried;
    if word == "unchanged" {
        return None;
    }
    let (mut before, mut after) = (live.map(comparable), comparable(object));
    if kind == Kind::Secret {
        mask(before.as_mut(), &mut after);
    }
    // Who owns what may change alone: that is none to be shown.
    (before.as_ref() != Some(&after)).then(|| Change {
        kind,
        namespace: namespace(&after).to_owned(),
        name: name(&after).to_owned(),
        before,
        after,
    })
}

/// Without what the server counts and writes itself.
fn comparable(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for own in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.remove(own);
        }
    }
    object
}

const MASK: &str = "***";

/// No value of a Secret is shown: only whether it stays.
fn mask(before: Option<&mut Value>, after: &mut Value) {
    let mut nothing = Value::Null;
    let before = before.unwrap_or(&mut nothing);
    for member in ["data", "stringData"] {
        let keys = |object: &Value| -> Vec<String> {
            object[member].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
        };
        let mut all = keys(before);
        all.extend(keys(after));
        for key in all {
            let changed = before[member].get(&key).zip(after[member].get(&key)).is_some_and(|(a, b)| a != b);
            let (old, new) = if changed { ("*** (before)", "*** (after)") } else { (MASK, MASK) };
            for (object, mask) in [(&mut *before, old), (&mut *after, new)] {
                if let Some(value) = object.get_mut(member).and_then(|map| map.get_mut(&key))
                    && !value.as_str().is_some_and(|text| text.starts_with(MASK))
                {
                    *value = mask.into();
                }
            }
        }
    }
}

impl Change {
    /// `timers.drover.dev/default/beat`.
    fn title(&self) -> String {
        let names = self.kind.names();
        let group = if names.group.is_empty() { String::new() } else { format!(".{}", names.group) };
        let space = if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) };
        format!("{}{group}/{space}{}", names.plural, self.name)
    }

    fn as_json(&self) -> Value {
        json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.names().kind, "name": self.name,
            "namespace": self.namespace, "before": self.before, "after": self.after,
        })
    }

    fn as_text(&self, colours: bool) -> String {
        let (before, after) = (self.before.as_ref().map(emit).unwrap_or_default(), emit(&self.after));
        let (title, diff) = (self.title(), TextDiff::from_lines(&before, &after));
        let from = if self.before.is_some() { format!("live/{title}") } else { "/dev/null".to_owned() };
        let mut out = format!("--- {from}\n+++ applied/{title}\n");
        for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
            out.push_str(&format!("{}\n", hunk.header()));
            for line in hunk.iter_changes() {
                let (sign, paint): (_, Option<Paint>) = match line.tag() {
                    ChangeTag::Delete => ('-', Some(paint::WRONG)),
                    ChangeTag::Insert => ('+', Some(paint::WELL)),
                    ChangeTag::Equal => (' ', None),
                };
                let text = format!("{sign}{}", terminal::tame(line.value().trim_end_matches('\n')));
                out.push_str(&paint.map_or(text.clone(), |paint| paint.on(colours, &text)));
                out.push('\n');
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_secret_only_whether_a_value_stays_is_shown() {
        let mut before = json!({"data": {"same": "eA==", "other": "eQ==", "gone": "eg=="}});
        let mut after = json!({"data": {"same": "eA==", "other": "eXk=", "new": "bg=="}});
        mask(Some(&mut before), &mut after);
        assert_eq!(before, json!({"data": {"same": "***", "other": "*** (before)", "gone": "***"}}));
        assert_eq!(after, json!({"data": {"same": "***", "other": "*** (after)", "new": "***"}}));
        let mut made = json!({"data": {"new": "bg=="}});
        mask(None, &mut made);
        assert_eq!(made, json!({"data": {"new": "***"}}));
    }

    #[test]
    fn colours_are_for_a_terminal_and_what_is_shown_cannot_steer_it() {
        let change = Change {
            kind: Kind::ConfigMap,
            namespace: "default".into(),
            name: "c".into(),
            before: Some(json!({"data": {"a": "1"}})),
            after: json!({"data": {"a": "2\u{1b}[2J"}}),
        };
        let plain = change.as_text(false);
        assert!(
            plain.starts_with("--- live/configmaps/default/c\n+++ applied/configmaps/default/c\n@@ "),
            "{plain}"
        );
        assert!(plain.contains("\n-  a: \"1\"\n") && !plain.contains('\u{1b}'), "{plain}");
        assert!(change.as_text(true).contains("\u{1b}["));
    }
}

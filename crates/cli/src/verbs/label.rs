//! `drover label` and `drover annotate`: `key=value` sets, `key-` removes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use drover_client::{PatchKind, Query};
use drover_types::validate::names;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::changed::Changed;
use crate::chosen::Chosen;
use crate::command_line::{DryRun, Label};
use crate::connect::{Connection, block_on, connect};
use crate::failure::{Failures, usage};
use crate::terminal;
use drover_columns::fields::text;

/// Requests under way at once.
const IN_FLIGHT: usize = 32;
/// How often a write is tried again after another client's came between.
const ATTEMPTS: usize = 5;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Labels,
    Annotations,
}

impl Which {
    fn member(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }

    fn manager(self) -> &'static str {
        match self {
            Self::Labels => "drover-label",
            Self::Annotations => "drover-annotate",
        }
    }

    /// Done, undone, and neither.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Labels => ("labeled", "unlabeled", "not labeled"),
            Self::Annotations => ("annotated", "unannotated", "not annotated"),
        }
    }
}

/// By key: the new value, or none to remove it.
type Changes = BTreeMap<String, Option<String>>;

/// Tells the objects from the changes.
fn split(words: &[String], which: Which) -> Result<(Vec<String>, Changes)> {
    let is_change = |word: &String| word.contains('=') || word.ends_with('-');
    let at = words.iter().position(is_change).unwrap_or(words.len());
    let (objects, edits) = words.split_at(at);
    let mut changes = Changes::new();
    for word in edits {
        let (key, value) = match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) => (key, Some(value)),
            (None, Some(key)) => (key, None),
            (None, None) => return Err(usage(format!("{word:?} is neither KEY=VALUE nor KEY-"))),
        };
        if !names::is_label_key(key) {
            return Err(usage(format!("{key:?} is not the key of a label or annotation")));
        }
        if let Some(value) = value.filter(|value| which == Which::Labels && !names::is_label_value(value)) {
            return Err(usage(format!("{value:?} is not the value of a label")));
        }
        if changes.insert(key.to_owned(), value.map(str::to_owned)).is_some() {
            return Err(usage(format!("{key:?} stands there twice")));
        }
    }
    if changes.is_empty() {
        return Err(usage("say what is to be changed: KEY=VALUE sets, KEY- removes"));
    }
    Ok((objects.to_vec(), changes))
}

pub(crate) fn run(args: &Label, which: Which) -> Result<ExitCode> {
    let (words, changes) = split(&args.words, which)?;
    let connection = connect(&args.how.target)?;
    block_on(async {
        let (done, undone, neither) = which.words();
        let chosen = args.choice.of(&words, &connection, done).await?;
        if chosen.is_empty() {
            terminal::tell(&format!("no object is {done}: none was found"));
        }
        let (connection, changes) = (&connection, &changes);
        let work = chosen
            .iter()
            .map(|one| async move { (one, change(args, which, (connection, one), changes).await) });
        let mut work = stream::iter(work).buffered(IN_FLIGHT);
        let mut changed = Changed::new(args.how.output, args.how.dry_run);
        let mut failures = Failures::default();
        while let Some((one, result)) = work.next().await {
            match result {
                Ok((object, Some(true))) => changed.say(one.kind, object, done)?,
                Ok((object, Some(false))) => changed.say(one.kind, object, undone)?,
                Ok((object, None)) => changed.say(one.kind, object, neither)?,
                Err(error) => failures.add(error.context(one.shown())),
            }
        }
        changed.end()?;
        failures.end()
    })
}

/// Changes one object. Whether something was set (or only removed), if anything changed.
async fn change(
    args: &Label,
    which: Which,
    (connection, one): (&Connection, &Chosen),
    changes: &Changes,
) -> Result<(Value, Option<bool>)> {
    let path = one.path();
    let mut attempt = 1;
    loop {
        let live: Value = connection.client.get(&path).await?;
        let needed = needed(&live, which, changes, args.overwrite)?;
        if needed.is_empty() {
            return Ok((live, None));
        }
        let sets = needed.values().any(Option::is_some);
        // Of the object that was looked at: another one's value is not overwritten unseen.
        let patch = json!({"metadata": {
            "resourceVersion": text(&live, "/metadata/resourceVersion"), which.member(): needed,
        }});
        if args.how.dry_run == DryRun::Client {
            return Ok((with(live, which, &needed), Some(sets)));
        }
        let query = Query::new(&path)
            .with("fieldManager", which.manager())
            .with_some("dryRun", args.how.dry_run.asked());
        match connection.client.patch(&query.into_path(), PatchKind::Merge, &patch).await {
            Ok(object) => return Ok((object, Some(sets))),
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// What of the changes is not so already.
fn needed(live: &Value, which: Which, changes: &Changes, overwrite: bool) -> Result<Changes> {
    let held = &live["metadata"][which.member()];
    let mut needed = Changes::new();
    for (key, value) in changes {
        match (held[key].as_str(), value) {
            (Some(held), Some(value)) if held == value => {}
            (Some(held), Some(_)) if !overwrite => {
                return Err(anyhow!("{key:?} already has a value ({held}); --overwrite changes it"));
            }
            (None, None) => {}
            _ => drop(needed.insert(key.clone(), value.clone())),
        }
    }
    Ok(needed)
}

fn with(mut live: Value, which: Which, changes: &Changes) -> Value {
    for (key, value) in changes {
        let held = &mut live["metadata"][which.member()];
        match value {
            Some(value) => held[key] = value.as_str().into(),
            None => drop(held.as_object_mut().and_then(|held| held.remove(key))),
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn objects_come_first_and_then_what_is_changed() {
        let (objects, changes) = split(&words("timer a b x=1 y.dev/z- e="), Which::Labels).unwrap();
        assert_eq!(objects, ["timer", "a", "b"]);
        let want = [("e", Some("")), ("x", Some("1")), ("y.dev/z", None)];
        assert_eq!(changes, want.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).into());
        let (_, changes) = split(&words("timer a note=a=b"), Which::Annotations).unwrap();
        assert_eq!(changes["note"].as_deref(), Some("a=b"));
        for bad in
            ["timer a", "timer a x=1 b", "timer a =1", "timer a x=1 x-", "timer a x=a/b", "timer a -bad-"]
        {
            assert!(split(&words(bad), Which::Labels).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_is_not_so_already_is_written_and_nothing_is_overwritten_unasked() {
        let live = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
        let ask = |line: &str, overwrite| {
            let (_, changes) = split(&words(line), Which::Labels).unwrap();
            needed(&live, Which::Labels, &changes, overwrite)
        };
        assert_eq!(ask("a=1 c-", false).unwrap(), Changes::new());
        assert_eq!(ask("b- d=4", false).unwrap().len(), 2);
        assert!(ask("a=9", false).unwrap_err().to_string().contains("already has a value (1)"));
        assert_eq!(ask("a=9", true).unwrap().len(), 1);
        let after = with(live.clone(), Which::Labels, &ask("a=9 b-", true).unwrap());
        assert_eq!(after["metadata"]["labels"], json!({"a": "9"}));
        assert_eq!(
            with(json!({"metadata": {}}), Which::Labels, &ask("d=4", true).unwrap())["metadata"]["labels"],
            json!({"d": "4"})
        );
    }
}

//! The bridge for objects that kubectl applied on its own side before: the annotation in which it noted what.

use serde_json::{Map, Value};

use crate::apply::Settle;
use crate::compare::compare;
use crate::fields::{FieldSet, of};
use crate::ownership::Request;

/// The manager that kubectl applies as.
pub const MANAGER: &str = "kubectl";
/// What kubectl applied last, as JSON.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Bytes of all annotations of an object together. What does not fit in is left out.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Fields that kubectl itself set before, whoever they are written to belong to: those of its annotation that still
/// have the value that is there.
pub(crate) fn own_conflicts(live: Option<&Value>, request: &Request<'_>, settle: Settle<'_>) -> FieldSet {
    let known = live.and_then(|live| Some((live, last_applied(live)?)));
    let Some((live, text)) = known else { return FieldSet::new() };
    let Ok(last) = serde_json::from_str::<Value>(text) else { return FieldSet::new() };
    let at = request.shape.at();
    let Ok(fields) = of(&last, at) else { return FieldSet::new() };
    if last["apiVersion"] != request.api_version {
        return FieldSet::new();
    }
    let settled = settle(&last);
    // The stored one is settled already; from the note's side it is the same comparison.
    let changes = compare(live, &last, at).unless_alike(live, settled.as_ref(), at);
    fields.difference(&changes.modified).difference(&changes.added).difference(&changes.removed)
}

/// The object with the configuration in its annotation, if it has one.
pub(crate) fn write_last_applied(mut object: Value, config: &Value) -> Value {
    if last_applied(&object).is_none() {
        return object;
    }
    let mut config = config.clone();
    if let Some(annotations) = annotations_mut(&mut config) {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{config}\n");
    if let Some(annotations) = annotations_mut(&mut object) {
        annotations.insert(LAST_APPLIED.into(), text.into());
        let length = |(name, value): (&String, &Value)| name.len() + value.as_str().map_or(0, str::len);
        if annotations.iter().map(length).sum::<usize>() > MAX_ANNOTATIONS {
            annotations.remove(LAST_APPLIED);
        }
    }
    object
}

fn last_applied(object: &Value) -> Option<&str> {
    let text = object.pointer("/metadata/annotations")?.get(LAST_APPLIED)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

fn annotations_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.pointer_mut("/metadata/annotations")?.as_object_mut()
}

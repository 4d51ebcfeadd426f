//! From JSON to the type of a kind. Everything that is wrong with the shape is told at once: what cannot be read is
//! left out, and the rest is read again.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{FieldError, FieldErrorKind, FieldPath, Kind, schema};

/// What was read.
pub(crate) struct Shape<T> {
    /// The object, without what could not be read; none if nothing was left.
    pub(crate) object: Option<T>,
    /// Paths of fields that the type does not have.
    pub(crate) unknown: Vec<String>,
    /// What could not be read.
    pub(crate) errors: Vec<FieldError>,
    /// Where something was left out.
    pub(crate) left_out: Vec<FieldPath>,
}

/// Values that are left out before the reader gives up.
const MAX_ROUNDS: usize = 10;
/// Unknown fields that are listed.
const MAX_UNKNOWN: usize = 100;

/// Reads an object of a kind.
pub(crate) fn decode<T: DeserializeOwned>(kind: Kind, value: &Value) -> Shape<T> {
    let (mut errors, mut left_out) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    let mut reduced: Option<Value> = None;
    for wrong in lists_for_maps(kind, value) {
        errors.push(wrong.error);
        left_out.extend(leave_out(reduced.get_or_insert_with(|| value.clone()), &wrong.keys));
    }
    let mut object = None;
    for _ in 0..MAX_ROUNDS {
        let now = reduced.as_ref().unwrap_or(value);
        let wrong = match read::<T>(kind, now, &mut seen) {
            Ok(read) => {
                object = Some(read);
                break;
            }
            Err(wrong) => wrong,
        };
        // That what was left out is missing now is no mistake of its author's.
        if !(wrong.error.kind == FieldErrorKind::Required && left_out.contains(&wrong.error.path)) {
            errors.push(wrong.error);
        }
        let rest = reduced.get_or_insert_with(|| value.clone());
        match leave_out(rest, &wrong.keys) {
            Some(path) => left_out.push(path),
            None => break,
        }
    }
    Shape { object, unknown: seen.into_iter().collect(), errors, left_out }
}

/// Whether an error may be there only because something was left out: it is about what is missing or what does not go
/// together, or stands beside the gap.
pub(crate) fn follows(error: &FieldError, left_out: &[FieldPath]) -> bool {
    let related = match error.kind {
        FieldErrorKind::Required => true,
        FieldErrorKind::Forbidden => !error.message.contains("not built yet"),
        FieldErrorKind::Invalid
        | FieldErrorKind::NotSupported
        | FieldErrorKind::Duplicate
        | FieldErrorKind::TooLong
        | FieldErrorKind::Unknown => false,
    };
    left_out.iter().any(|gap| {
        let gap = gap.as_str();
        let around = gap.rsplit_once('.').map_or("", |(around, _)| around);
        // The whole text may refer to parameters, and to those of a mode.
        let everywhere = matches!(gap, "spec" | "spec.params" | "spec.paramValues" | "spec.mode");
        let beside = !matches!(around, "" | "spec" | "metadata") && error.path.as_str().starts_with(around);
        related || everywhere || beside || error.path.as_str().starts_with(gap)
    })
}

/// Lists that stand where a map belongs. Serde would take their items for the members, in the order of declaration.
fn lists_for_maps(kind: Kind, value: &Value) -> Vec<Wrong> {
    let mut found = Vec::new();
    let schema = schema::shared(kind);
    let mut left = vec![(FieldPath::root(), Vec::new(), false, schema, value)];
    while let Some((at, keys, in_list, shape, value)) = left.pop() {
        let shape = schema::target(schema, shape);
        let below = |key: &String| {
            let mut keys: Vec<String> = keys.clone();
            // What is in a list is left out with it.
            keys.extend((!in_list).then(|| key.clone()));
            keys
        };
        match value {
            Value::Array(_) if shape["properties"].is_object() => {
                let error = FieldError::invalid(at, value.clone(), "expected a map, this is a list");
                found.push(Wrong { error, keys });
                if found.len() >= MAX_ROUNDS {
                    break;
                }
            }
            Value::Array(items) if shape["items"].is_object() => {
                let items = items.iter().enumerate().rev().filter(|(_, item)| holds_more(item));
                left.extend(items.map(|(i, item)| (at.index(i), keys.clone(), true, &shape["items"], item)));
            }
            Value::Object(members) => {
                for (key, member) in members.iter().filter(|(_, member)| holds_more(member)) {
                    if let Some(shape) = shape["properties"].get(key).or_else(|| free_form(shape)) {
                        left.push((self::member(&at, key), below(key), in_list, shape, member));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn holds_more(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

fn free_form(shape: &Value) -> Option<&Value> {
    shape["additionalProperties"].is_object().then(|| &shape["additionalProperties"])
}

struct Wrong {
    error: FieldError,
    /// Keys that lead to what cannot be read, or to the list that holds it.
    keys: Vec<String>,
}

/// Removes the value at `keys`; its path, or none if there is nothing to remove.
fn leave_out(value: &mut Value, keys: &[String]) -> Option<FieldPath> {
    let (last, parents) = keys.split_last()?;
    let mut at = value;
    let mut path = FieldPath::root();
    for key in parents {
        at = at.get_mut(key)?;
        path = member(&path, key);
    }
    at.as_object_mut()?.remove(last)?;
    Some(member(&path, last))
}

fn read<T: DeserializeOwned>(kind: Kind, value: &Value, unknown: &mut BTreeSet<String>) -> Result<T, Wrong> {
    let mut track = serde_path_to_error::Track::new();
    let mut note = |path: serde_ignored::Path<'_>| {
        if unknown.len() < MAX_UNKNOWN {
            unknown.insert(ignored(&path).to_string());
        }
    };
    let de = serde_ignored::Deserializer::new(value, &mut note);
    let decoded = T::deserialize(serde_path_to_error::Deserializer::new(de, &mut track));
    decoded.map_err(|e| {
        let path = track.path();
        let keys = path.iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
        });
        Wrong { keys: keys.collect(), error: explain(kind, value, &path, &e.to_string()) }
    })
}

fn explain(kind: Kind, root: &Value, path: &serde_path_to_error::Path, message: &str) -> FieldError {
    let (mut at, mut value) = (FieldPath::root(), Some(root));
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                at = at.index(*index);
                value = value.and_then(|v| v.get(index));
            }
            Segment::Map { key } => {
                at = member(&at, key);
                value = value.and_then(|v| v.get(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|m| m.strip_suffix('`')) {
        return FieldError::required(at.child(name), "must be set");
    }
    // Whatever a Secret holds, an error does not show it.
    if kind == Kind::Secret && ["data", "stringData"].iter().any(|member| at.as_str().starts_with(member)) {
        let detail =
            if at.as_str().ends_with(']') { "expected a string: quote it" } else { "expected a map" };
        return FieldError::invalid(at, "***", detail);
    }
    let value = value.cloned().unwrap_or_default();
    if let Some((_, list)) = message.split_once("unknown variant `").and(message.split_once("`, expected ")) {
        let names: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        return FieldError::not_supported(at, value, &names);
    }
    if message.starts_with("data did not match any variant") {
        return FieldError::invalid(at, value, "expected a size, as 1024, 64Ki or 1Gi");
    }
    // The types that parse text quote it; the error has it already.
    let quoted = value.as_str().map(|text| format!("{text:?} "));
    let detail = quoted.and_then(|q| message.strip_prefix(&q)).unwrap_or(message);
    FieldError::invalid(at, value, in_words(detail))
}

/// What was expected, in the words of a manifest instead of Rust's.
fn in_words(message: &str) -> String {
    if message.starts_with("failed to parse") || message.starts_with("failed to find") {
        return "is not an instant with its offset, as 2026-11-23T12:00:00Z".to_owned();
    }
    let Some((found, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    let scalar = ["integer", "floating", "boolean"].iter().any(|kind| found.contains(kind));
    let words = match expected {
        "a string" if scalar => "a string: quote it",
        "a sequence" => "a list",
        "string or map" => "a string",
        "u32" => "a whole number from 0 to 4294967295",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u64" => "a whole number from 0 on",
        "i64" => "a whole number of 64 bits",
        other if other.starts_with("struct ") => "a map",
        other => other,
    };
    format!("{found}, expected {words}")
}

fn ignored(path: &serde_ignored::Path<'_>) -> FieldPath {
    match path {
        serde_ignored::Path::Root => FieldPath::root(),
        serde_ignored::Path::Seq { parent, index } => ignored(parent).index(*index),
        serde_ignored::Path::Map { parent, key } => member(&ignored(parent), key),
        serde_ignored::Path::Some { parent }
        | serde_ignored::Path::NewtypeStruct { parent }
        | serde_ignored::Path::NewtypeVariant { parent } => ignored(parent),
    }
}

/// A key of a free-form map is written in brackets, a member of a struct after a dot.
fn member(at: &FieldPath, key: &str) -> FieldPath {
    const MAPS: [&str; 11] = [
        "labels",
        "annotations",
        "nodeSelector",
        "nodeLabels",
        "data",
        "stringData",
        "binaryData",
        "lanes",
        "paramValues",
        "capacity",
        "allocatable",
    ];
    let last = at.as_str().rsplit('.').next().unwrap_or_default();
    if MAPS.contains(&last) { at.key(key) } else { at.child(key) }
}

//! The gate of every write: decode by kind, fill in defaults, check the rules. A pure function, so that the command
//! line refuses what the server would refuse.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kinds::core::{Lease, Namespace, Node};
use crate::kinds::{Assignment, ConfigMap, Event, NodePool, Run, Secret, Service, Task, Timer};
use crate::validate::{self, Rules};
use crate::{FieldError, FieldPath, Kind, not_built};

/// An object that may be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// Decoded, with defaults, without fields nobody knows.
    pub value: Value,
    /// Paths of fields that nobody knows; they are not in `value`.
    pub unknown_fields: Vec<String>,
}

/// Admits an object of a kind, as a change of `old` if there is one. A null in a map is an absent member.
pub fn admit(kind: Kind, mut value: Value, old: Option<&Value>) -> Result<Admitted, Vec<FieldError>> {
    strip_nulls(&mut value);
    let mut unknown = envelope(kind, &mut value)?;
    let (value, more) = match kind {
        Kind::Namespace => typed::<Namespace>(kind, &value, old),
        Kind::Node => typed::<Node>(kind, &value, old),
        Kind::Secret => typed::<Secret>(kind, &value, old),
        Kind::ConfigMap => typed::<ConfigMap>(kind, &value, old),
        Kind::Event => typed::<Event>(kind, &value, old),
        Kind::Lease => typed::<Lease>(kind, &value, old),
        Kind::Timer => typed::<Timer>(kind, &value, old),
        Kind::Task => typed::<Task>(kind, &value, old),
        Kind::Service => typed::<Service>(kind, &value, old),
        Kind::NodePool => typed::<NodePool>(kind, &value, old),
        Kind::Assignment => typed::<Assignment>(kind, &value, old),
        Kind::Run => typed::<Run>(kind, &value, old),
    }?;
    unknown.extend(more);
    Ok(Admitted { value, unknown_fields: unknown })
}

/// `apiVersion` and `kind` must agree with the path; absent ones are filled in, as is the empty spec of the kinds
/// whose clients leave it out.
fn envelope(kind: Kind, value: &mut Value) -> Result<Vec<String>, Vec<FieldError>> {
    let Value::Object(map) = value else {
        return Err(vec![FieldError::invalid(FieldPath::root(), value.clone(), "expected an object")]);
    };
    let names = kind.names();
    let mut errors = Vec::new();
    for (member, want) in [("apiVersion", kind.api_version()), ("kind", names.kind)] {
        let held = map.entry(member).or_insert_with(|| want.into());
        if held != want {
            let detail = format!("must be {want}");
            errors.push(FieldError::invalid(member.into(), held.clone(), detail));
        }
    }
    if matches!(kind, Kind::Namespace | Kind::Node | Kind::Lease | Kind::NodePool) {
        map.entry("spec").or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    let mut unknown = Vec::new();
    if !names.has_status && map.remove("status").is_some() {
        unknown.push("status".to_owned());
    }
    if errors.is_empty() { Ok(unknown) } else { Err(errors) }
}

fn typed<T: DeserializeOwned + Serialize + Rules>(
    kind: Kind,
    value: &Value,
    old: Option<&Value>,
) -> Result<(Value, Vec<String>), Vec<FieldError>> {
    let mut seen = Vec::new();
    let decoded = decode::<T>(value, &mut seen);
    let mut errors = Vec::new();
    let mut unknown = Vec::new();
    for path in seen {
        match not_built::not_built_field(kind, &path) {
            Some(brings) => errors.push(not_built::refusal(path.as_str().into(), brings)),
            None => unknown.push(path),
        }
    }
    match decoded {
        Err(error) => errors.push(error),
        Ok(mut object) => {
            object.fill_defaults();
            validate::metadata::check(kind, object.metadata(), &mut errors);
            object.check(&mut errors);
            // What is stored was admitted once; if a newer build cannot read it, there is nothing to compare.
            if let Some(old) = old.and_then(|old| decode::<T>(old, &mut Vec::new()).ok()) {
                object.check_update(&old, &mut errors);
            }
            if errors.is_empty() {
                return match serde_json::to_value(&object) {
                    Ok(value) => Ok((value, unknown)),
                    Err(e) => Err(vec![FieldError::invalid(FieldPath::root(), Value::Null, e)]),
                };
            }
        }
    }
    Err(errors)
}

/// Decodes, noting unknown fields, and says where and why it could not.
fn decode<T: DeserializeOwned>(value: &Value, unknown: &mut Vec<String>) -> Result<T, FieldError> {
    let mut track = serde_path_to_error::Track::new();
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(ignored(&path).to_string());
    let de = serde_ignored::Deserializer::new(value, &mut note);
    let decoded = T::deserialize(serde_path_to_error::Deserializer::new(de, &mut track));
    decoded.map_err(|e| explain(value, &track.path(), &e.to_string()))
}

fn explain(root: &Value, path: &serde_path_to_error::Path, message: &str) -> FieldError {
    use serde_path_to_error::Segment;
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
    FieldError::invalid(at, value, detail)
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

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

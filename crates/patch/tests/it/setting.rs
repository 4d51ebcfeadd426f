//! A kind with a list of every type, and who writes its objects.

use std::sync::LazyLock;

use drover_patch::apply::{ApplyError, Outcome, apply};
use drover_patch::fields::{FieldSet, Path};
use drover_patch::managers::{Managers, Operation};
use drover_patch::{Endpoint, Request, Shape};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const VERSION: &str = "stub.dev/v1";

pub(crate) fn schema() -> Value {
    json!({
        "$defs": {
            "Step": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "cmd": {"type": ["string", "null"]},
                    "env": {"type": "object", "additionalProperties": {"type": "string"}},
                    "ports": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "port": {"type": "integer"},
                                "protocol": {"type": "string", "default": "TCP"},
                                "note": {"type": "string"},
                            },
                        },
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["port", "protocol"],
                    },
                },
            },
            "Block": {
                "type": "object",
                "properties": {"max": {"type": "integer"}, "backoff": {"type": "string"}},
            },
        },
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "replicas": {"type": "integer"},
                    "text": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                    "args": {"type": "array", "items": {"type": "string"}},
                    "steps": {
                        "type": "array",
                        "items": {"$ref": "#/$defs/Step"},
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                    },
                    "limits": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "x-kubernetes-map-type": "atomic",
                    },
                    "vars": {"type": "object", "additionalProperties": {"type": "string"}},
                    "block": {"anyOf": [{"$ref": "#/$defs/Block"}, {"type": "null"}]},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "seen": {"type": "integer"},
                    "conditions": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"type": {"type": "string"}}},
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["type"],
                    },
                },
            },
        },
    })
}

pub(crate) static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::from_schema(&schema(), ""));

/// A second of the day on which everything happens.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// A write by `manager` to the object itself.
pub(crate) fn by(manager: &str) -> Request<'_> {
    Request {
        shape: &SHAPE,
        manager,
        api_version: VERSION,
        endpoint: Endpoint::Main,
        force: false,
        now: at(0),
    }
}

pub(crate) fn forced(manager: &str) -> Request<'_> {
    Request { force: true, ..by(manager) }
}

/// An object with this spec; without one if it is empty, for who names a spec owns it.
pub(crate) fn object(spec: &Value) -> Value {
    let metadata = json!({"name": "t", "namespace": "default"});
    let mut object = json!({"apiVersion": VERSION, "kind": "Timer", "metadata": metadata});
    if !spec.is_null() && *spec != json!({}) {
        object["spec"] = spec.clone();
    }
    object
}

/// Applies, where nothing is wrong with it.
pub(crate) fn applied(live: Option<&Value>, spec: &Value, request: &Request<'_>) -> Value {
    apply(live, object(spec), request).unwrap().into_object()
}

/// Applies several configurations, one after the other.
pub(crate) fn all_applied(applies: &[(&str, Value)]) -> Value {
    let live = applies
        .iter()
        .fold(None, |live: Option<Value>, (manager, spec)| Some(applied(live.as_ref(), spec, &by(manager))));
    live.unwrap()
}

/// The message of a conflict.
pub(crate) fn conflict(outcome: Result<Outcome, ApplyError>) -> String {
    match outcome {
        Err(ApplyError::Conflicts(conflicts)) => conflicts.to_string(),
        other => panic!("no conflict: {other:?}"),
    }
}

/// What a manager owns, by one operation and through any endpoint.
pub(crate) fn owned(object: &Value, manager: &str, operation: Operation) -> FieldSet {
    let managers = Managers::of(object);
    let mut fields = FieldSet::new();
    let of = managers.iter().filter(|(id, _)| id.manager == manager && id.operation == operation);
    of.for_each(|(_, owned)| fields.extend(&owned.fields));
    fields
}

/// The same, printed.
pub(crate) fn paths(object: &Value, manager: &str, operation: Operation) -> Vec<String> {
    owned(object, manager, operation).paths().iter().map(Path::to_string).collect()
}

/// The fields that a configuration claims: those that who applies it to nothing owns.
pub(crate) fn claims(spec: &Value) -> FieldSet {
    owned(&applied(None, spec, &by("reader")), "reader", Operation::Apply)
}

/// An object without its managed fields.
pub(crate) fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    object
}

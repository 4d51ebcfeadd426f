//! The document of `events.k8s.io`: that of the core Event, with the names of the newer group.

use serde_json::{Map, Value};

use super::schemas::PLACE;
use crate::events::{API_VERSION, GROUP, NAMES};

/// Where the document is.
pub(super) const PATH: &str = "apis/events.k8s.io/v1";

const STORED: &str = "io.k8s.api.core.v1.Event";
const NEWER: &str = "io.k8s.api.events.v1.Event";
const LIST: &str = "List";

/// Of a document that has nothing but core Events.
pub(super) fn document(mut of_core: Value) -> Value {
    rename(&mut of_core);
    if let Some(paths) = of_core["paths"].as_object_mut() {
        let moved = std::mem::take(paths).into_iter();
        *paths =
            moved.map(|(path, item)| (path.replacen("/api/v1/", &format!("/{PATH}/"), 1), item)).collect();
    }
    if let Some(schemas) = of_core.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for end in ["", LIST] {
            if let Some(schema) = schemas.remove(&format!("{STORED}{end}")) {
                schemas.insert(format!("{NEWER}{end}"), schema);
            }
        }
        if let Some(event) = schemas.get_mut(NEWER).and_then(|schema| schema["properties"].as_object_mut()) {
            members(event);
        }
    }
    of_core
}

fn members(properties: &mut Map<String, Value>) {
    for (stored, newer) in NAMES {
        if let Some(property) = properties.remove(stored) {
            properties.insert(newer.to_owned(), property);
        }
    }
    properties["apiVersion"]["enum"] = Value::from(vec![API_VERSION]);
}

/// References to an Event, and what says which kind something is about.
fn rename(value: &mut Value) {
    match value {
        Value::Object(found) => {
            for (name, member) in found.iter_mut() {
                match member {
                    Value::String(target) if name == "$ref" => {
                        let end = target.strip_prefix(PLACE).and_then(|name| name.strip_prefix(STORED));
                        if let Some(end @ ("" | LIST)) = end {
                            *target = format!("{PLACE}{NEWER}{end}");
                        }
                    }
                    Value::Object(about) if name == "x-kubernetes-group-version-kind" => {
                        about.insert("group".into(), GROUP.into());
                    }
                    Value::Array(about) if name == "x-kubernetes-group-version-kind" => {
                        for kind in about {
                            kind["group"] = GROUP.into();
                        }
                    }
                    _ => rename(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}

//! JSON Schemas (draft 2020-12) of the kinds, and what they say of one field.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::Kind;
use crate::kinds::core::{Lease, Namespace, Node};
use crate::kinds::{
    Assignment, ConfigMap, Event, NodePool, Run, Secret, Service, ServiceAccount, Task, Timer,
};

/// The schema of a kind.
pub fn schema(kind: Kind) -> Value {
    let made = match kind {
        Kind::Namespace => schemars::schema_for!(Namespace),
        Kind::Node => schemars::schema_for!(Node),
        Kind::Secret => schemars::schema_for!(Secret),
        Kind::ConfigMap => schemars::schema_for!(ConfigMap),
        Kind::ServiceAccount => schemars::schema_for!(ServiceAccount),
        Kind::Event => schemars::schema_for!(Event),
        Kind::Lease => schemars::schema_for!(Lease),
        Kind::Timer => schemars::schema_for!(Timer),
        Kind::Task => schemars::schema_for!(Task),
        Kind::Service => schemars::schema_for!(Service),
        Kind::NodePool => schemars::schema_for!(NodePool),
        Kind::Assignment => schemars::schema_for!(Assignment),
        Kind::Run => schemars::schema_for!(Run),
    };
    let mut made = made.to_value();
    made["title"] = json!(kind.names().kind);
    made["description"] = json!(purpose(kind));
    made["properties"]["apiVersion"] =
        json!({"const": kind.api_version(), "description": "`group/version`."});
    made["properties"]["kind"] = json!({"const": kind.names().kind, "description": "Kind name."});
    made
}

/// What a kind is for, in a sentence.
fn purpose(kind: Kind) -> &'static str {
    match kind {
        Kind::Namespace => "A space of names; what is in it goes with it.",
        Kind::Node => "A host with an agent: what it is, whether it is there, and whether it takes new work.",
        Kind::Secret => "Values, in base64, that only nodes get whose work names them.",
        Kind::ConfigMap => "Values for processes, in plain text.",
        Kind::ServiceAccount => "Who a program is, and what it may do here.",
        Kind::Event => "Something that happened to an object.",
        Kind::Lease => "A claim that its holder renews.",
        Kind::Timer => "When to run a template, where, and what to do about overlap and missed ticks.",
        Kind::Task => "A command run to completion: once by itself, or whenever it is called.",
        Kind::Service => "Processes that are kept running.",
        Kind::NodePool => "Nodes by selector, and what holds for them.",
        Kind::Assignment => "One workload on one node: what it is to do, and what the node made of it.",
        Kind::Run => "One execution of one process.",
    }
}

/// The schema of a kind, made once, when it is first asked for: a command that reads one object needs one of them.
pub(crate) fn shared(kind: Kind) -> &'static Value {
    static MADE: [OnceLock<Value>; Kind::ALL.len()] = [const { OnceLock::new() }; Kind::ALL.len()];
    MADE[kind as usize].get_or_init(|| schema(kind))
}

/// File names and contents of `schemas/`.
pub fn schemas() -> Vec<(String, String)> {
    Kind::ALL.map(|kind| (format!("{}.json", kind.names().singular), format!("{:#}\n", schema(kind)))).into()
}

/// What the schema says of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDoc {
    /// Its name.
    pub name: String,
    /// Its type, as `string`, `Duration`, `[]EnvVar` or `map of string`.
    pub type_: String,
    /// What it means.
    pub description: String,
    /// Its values, if they are a closed list.
    pub values: Vec<String>,
    /// Whether an object without it is refused.
    pub required: bool,
    /// Its members, without theirs.
    pub fields: Vec<Self>,
}

/// The field at `path` (`spec.template.process`, indices allowed); the kind itself if it is empty.
pub fn explain(kind: Kind, path: &str) -> Option<FieldDoc> {
    let root = schema(kind);
    let mut at = &root;
    let mut name = kind.names().kind.to_owned();
    for word in path.split('.').filter(|w| !w.is_empty()) {
        let word = word.split('[').next()?;
        at = members(&root, at)?.get(word)?;
        word.clone_into(&mut name);
    }
    let mut doc = describe(&root, &name, at);
    if let Some(members) = members(&root, at) {
        let required = required(&root, at);
        doc.fields = members.iter().map(|(name, member)| describe(&root, name, member)).collect();
        for field in &mut doc.fields {
            field.required = required.iter().any(|name| *name == field.name);
        }
    }
    Some(doc)
}

/// The schema behind references, optionality and lists.
pub(crate) fn target<'a>(root: &'a Value, mut at: &'a Value) -> &'a Value {
    // A schema that refers to itself ends here too.
    for _ in 0..16 {
        let name = at["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/"));
        let some = at["anyOf"].as_array().and_then(|list| list.iter().find(|s| s["type"] != "null"));
        at = match (name, some) {
            (Some(name), _) => &root["$defs"][name],
            (None, Some(some)) => some,
            (None, None) => return at,
        };
    }
    at
}

/// The schema that has the members: of a list, its elements'.
fn inner<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
    let at = target(root, at);
    if at["items"].is_object() { target(root, &at["items"]) } else { at }
}

fn members<'a>(root: &'a Value, at: &'a Value) -> Option<&'a serde_json::Map<String, Value>> {
    inner(root, at)["properties"].as_object()
}

fn required<'a>(root: &'a Value, at: &'a Value) -> Vec<&'a str> {
    let names = inner(root, at)["required"].as_array();
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn describe(root: &Value, name: &str, at: &Value) -> FieldDoc {
    let to = target(root, at);
    let text = |v: &Value| v["description"].as_str().unwrap_or_default().to_owned();
    let description = if at["description"].is_string() { text(at) } else { text(to) };
    let values = match (&to["oneOf"], &to["enum"]) {
        (Value::Array(list), _) => {
            list.iter().filter_map(|v| v["const"].as_str().map(str::to_owned)).collect()
        }
        (_, Value::Array(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let name = name.to_owned();
    FieldDoc { name, type_: type_name(at), description, values, required: false, fields: Vec::new() }
}

fn type_name(at: &Value) -> String {
    let mut at = at;
    if let Some(some) = at["anyOf"].as_array().and_then(|list| list.iter().find(|s| s["type"] != "null")) {
        at = some;
    }
    if let Some(name) = at["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
        return name.to_owned();
    }
    if at["items"].is_object() {
        return format!("[]{}", type_name(&at["items"]));
    }
    if at["additionalProperties"].is_object() {
        return format!("map of {}", type_name(&at["additionalProperties"]));
    }
    match &at["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().find_map(|n| n.as_str().filter(|n| *n != "null")).unwrap_or("any").into()
        }
        _ if at["const"].is_string() => "string".into(),
        _ => "any".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_in_the_repository_are_those_of_the_types() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let update = std::env::var_os("DROVER_UPDATE").is_some();
        for (name, text) in schemas() {
            let path = dir.join(&name);
            if update {
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let held = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(held == text, "schemas/{name} drifts; run DROVER_UPDATE=1 cargo test -p drover-types");
        }
    }

    #[test]
    fn every_field_of_a_timer_is_explained() {
        let doc = explain(Kind::Timer, "spec.template.process").unwrap();
        assert_eq!(doc.type_, "Process");
        let env = doc.fields.iter().find(|f| f.name == "env").unwrap();
        assert_eq!(env.type_, "[]EnvVar");
        assert!(explain(Kind::Timer, "spec.template.process.env[0].valueFrom").is_some());
        assert!(explain(Kind::Timer, "spec.bogus").is_none());
        let spec = explain(Kind::Timer, "spec").unwrap().fields;
        let required: Vec<_> = spec.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
        assert_eq!(required, ["template"]);
        assert!(explain(Kind::Timer, "spec").unwrap().fields.iter().all(|f| !f.description.is_empty()));
    }
}

//! JSON Schema (draft 2020-12), in which the types describe themselves, as OpenAPI 3.0 with Kubernetes' extensions.

use std::collections::BTreeMap;

use drover_types::Kind;
use serde_json::{Map, Value, json};

use super::{prefix, schema_name};
use crate::scale;

/// Where schemas are in a document.
pub(super) const PLACE: &str = "#/components/schemas/";

/// The schema of a Scale.
pub(super) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// What all groups share: its names are those of Kubernetes.
const OF_META: [&str; 4] = ["Condition", "ConditionStatus", "ObjectMeta", "OwnerReference"];

/// The schemas of these kinds, with all that they refer to, and their lists.
pub(super) fn components(kinds: &[Kind]) -> BTreeMap<String, Value> {
    let mut made = BTreeMap::new();
    for kind in kinds {
        let Value::Object(mut root) = drover_types::schema::schema(*kind) else { continue };
        let named = |name: &str| {
            let prefix = if OF_META.contains(&name) { META } else { prefix(*kind) };
            format!("{prefix}.{name}")
        };
        if let Some(Value::Object(parts)) = root.remove("$defs") {
            for (name, part) in parts {
                made.insert(named(&name), convert(part, &named));
            }
        }
        let names = kind.names();
        let gvk = json!([{"group": names.group, "version": names.version, "kind": names.kind}]);
        let mut schema = convert(Value::Object(root), &named);
        schema["x-kubernetes-group-version-kind"] = gvk;
        made.insert(schema_name(*kind), schema);
        made.insert(format!("{}List", schema_name(*kind)), list(*kind));
    }
    if kinds.iter().any(|kind| scale::of(*kind).is_some()) {
        made.insert(SCALE.into(), scale_schema());
    }
    made.extend(shared());
    made
}

/// How many there are to be.
fn scale_schema() -> Value {
    let (group, version, kind) = scale::SCALE;
    let count = |description: &str| json!({"type": "integer", "format": "int32", "description": description});
    json!({
        "type": "object", "description": "How many of something there are to be.", "properties": {
            "apiVersion": {"type": "string", "description": "`group/version`."},
            "kind": {"type": "string", "description": "Kind name."},
            "metadata": reference(&format!("{META}.ObjectMeta")),
            "spec": {"type": "object", "description": "What is wanted.",
                "properties": {"replicas": count("How many; none if absent.")}},
            "status": {"type": "object", "description": "What was observed.", "properties": {
                "replicas": count("How many there are."),
                "selector": {"type": "string", "description": "What selects them."},
            }},
        },
        "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": kind}],
    })
}

fn list(kind: Kind) -> Value {
    let names = kind.names();
    json!({
        "description": format!("A list of {}s.", names.kind), "type": "object", "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": "`group/version`."},
            "kind": {"type": "string", "description": "Kind name."},
            "metadata": reference(&format!("{META}.ListMeta")),
            "items": {"type": "array", "items": reference(&schema_name(kind))},
        },
        "x-kubernetes-group-version-kind": [
            {"group": names.group, "version": names.version, "kind": format!("{}List", names.kind)},
        ],
    })
}

/// What requests and answers of every group are made of.
fn shared() -> BTreeMap<String, Value> {
    let string = |description: &str| json!({"type": "string", "description": description});
    BTreeMap::from([
        (
            format!("{META}.ListMeta"),
            json!({"type": "object", "description": "Metadata of a list.", "properties": {
                "resourceVersion": string("The revision that the list is of."),
                "continue": string("Where the next page begins; absent on the last one."),
                "remainingItemCount": {"type": "integer", "format": "int64",
                    "description": "How many items come after this page, where that is known."},
            }}),
        ),
        (
            format!("{META}.DeleteOptions"),
            json!({"type": "object", "description": "How to delete.", "properties": {
                "apiVersion": string("`v1`."), "kind": string("`DeleteOptions`."),
                "propagationPolicy": {"type": "string", "enum": ["Background", "Foreground", "Orphan"],
                    "description": "What becomes of what the object owns."},
                "gracePeriodSeconds": {"type": "integer", "format": "int64", "description": "Not used."},
                "preconditions": {"type": "object", "description": "What must hold for the deletion.",
                    "properties": {"uid": string("The object's uid."),
                        "resourceVersion": string("The object's revision.")}},
                "dryRun": {"type": "array", "items": {"type": "string"},
                    "description": "`All`: say what would happen, and change nothing."},
            }}),
        ),
        (
            format!("{META}.Status"),
            json!({"type": "object", "description": "The outcome of a request that answers with no object.",
            "properties": {
                "apiVersion": string("`v1`."), "kind": string("`Status`."),
                "status": string("`Success` or `Failure`."), "message": string("A sentence for people."),
                "reason": string("CamelCase word for machines."),
                "code": {"type": "integer", "format": "int32", "description": "The HTTP code."},
                "details": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "description": "What it is about, and the causes, by field."},
            }}),
        ),
        (
            format!("{META}.Patch"),
            json!({"type": "object", "description": "A patch, as its content type says.",
                "x-kubernetes-preserve-unknown-fields": true}),
        ),
    ])
}

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PLACE}{name}")})
}

/// The name of something that all groups share.
pub(super) fn meta(name: &str) -> Value {
    reference(&format!("{META}.{name}"))
}

fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

/// One schema. What cannot be said in OpenAPI 3.0 is said in its nearest words; the server checks all of it anyway.
fn convert(schema: Value, named: &dyn Fn(&str) -> String) -> Value {
    let mut members = match schema {
        Value::Object(members) => members,
        _ => return anything(),
    };
    for absent in ["$schema", "title", "propertyNames"] {
        members.remove(absent);
    }
    if let Some(Value::Array(choices)) = members.remove("anyOf") {
        let mut choices = choices.into_iter().filter(|choice| choice["type"] != "null");
        if let (Some(only), None) = (choices.next(), choices.next()) {
            merge(&mut members, only);
        }
    }
    if let Some(Value::Array(choices)) = members.remove("oneOf") {
        enumerate(&mut members, &choices);
    }
    if let Some(value) = members.remove("const") {
        members.insert("type".into(), "string".into());
        members.insert("enum".into(), json!([value]));
    }
    if let Some(Value::String(target)) = members.remove("$ref") {
        let to = reference(&named(target.trim_start_matches("#/$defs/")));
        if members.is_empty() {
            return to;
        }
        // A reference has no siblings in 3.0.
        members.insert("allOf".into(), json!([to]));
    }
    set_type(&mut members);
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        // A kind without a status says that it is null.
        properties.retain(|_, property| property["type"] != "null");
        for property in properties.values_mut() {
            *property = convert(property.take(), named);
        }
    }
    if let Some(items) = members.get_mut("items") {
        *items = convert(items.take(), named);
    }
    match members.get_mut("additionalProperties") {
        Some(Value::Bool(false)) => drop(members.remove("additionalProperties")),
        Some(values @ Value::Object(_)) => *values = convert(values.take(), named),
        _ => {}
    }
    Value::Object(members)
}

/// Puts what one schema says under what is said beside it.
fn merge(members: &mut Map<String, Value>, other: Value) {
    if let Value::Object(other) = other {
        for (name, value) in other {
            members.entry(name).or_insert(value);
        }
    }
}

/// Choices that are constants, each with a sentence, as an enum whose description has the sentences.
fn enumerate(members: &mut Map<String, Value>, choices: &[Value]) {
    let values: Vec<_> = choices.iter().filter_map(|choice| choice.get("const").cloned()).collect();
    if values.len() != choices.len() {
        members.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        return;
    }
    let mut text = members.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    text.push_str("\n\nPossible values:");
    for choice in choices {
        let (value, meaning) = (&choice["const"], choice["description"].as_str().unwrap_or_default());
        text.push_str(&format!("\n - `{}`: {meaning}", value.as_str().unwrap_or_default()));
    }
    members.insert("description".into(), text.trim_start().into());
    members.insert("type".into(), "string".into());
    members.insert("enum".into(), values.into());
}

/// `type` as 3.0 has it: one word. Null is absence to Kubernetes, not a value.
fn set_type(members: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = members.get("type") {
        let types: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
        match types.as_slice() {
            [only] => drop(members.insert("type".into(), only.clone())),
            [a, b] if a == "string" && b == "integer" => {
                members.remove("type");
                members.insert("x-kubernetes-int-or-string".into(), true.into());
            }
            _ => {
                members.remove("type");
                members.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
            }
        }
    }
    // Kubernetes knows signed integers only.
    let format = match members.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "int8" | "int16") => "int32",
        Some("uint" | "uint32" | "uint64") => "int64",
        _ => return,
    };
    members.insert("format".into(), format.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    found.push(name.clone());
                    words(member, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| words(item, found)),
            _ => {}
        }
    }

    #[test]
    fn nothing_is_left_that_openapi_does_not_have() {
        let all = json!(components(&Kind::ALL));
        let mut found = Vec::new();
        words(&all, &mut found);
        for absent in ["$defs", "anyOf", "oneOf", "const", "$schema"] {
            assert!(!found.iter().any(|word| word == absent), "{absent}");
        }
        let text = all.to_string();
        for absent in ["\"null\"", "\"format\":\"u", "#/$defs"] {
            let at = text.find(absent).map(|at| &text[at.saturating_sub(200)..at + 20]);
            assert_eq!(at, None, "{absent}");
        }
    }

    #[test]
    fn a_part_that_two_kinds_have_is_the_same_in_both() {
        for kind in Kind::ALL {
            for (name, schema) in components(&[kind]) {
                if let Some(other) = components(&Kind::ALL).get(&name) {
                    assert_eq!(*other, schema, "{name}");
                }
            }
        }
    }

    #[test]
    fn an_enum_says_what_each_value_means() {
        let all = components(&[Kind::Timer]);
        let policy = &all["dev.drover.v1.ConcurrencyPolicy"];
        assert_eq!(policy["type"], "string");
        assert!(policy["enum"].as_array().unwrap().iter().any(|value| value == "Forbid"));
        assert!(policy["description"].as_str().unwrap().contains("`Replace`: Ends it"), "{policy}");
        let spec = &all["dev.drover.v1.Timer"]["properties"]["spec"];
        assert_eq!(spec["allOf"][0]["$ref"], "#/components/schemas/dev.drover.v1.TimerSpec");
    }
}

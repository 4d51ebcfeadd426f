//! Objects that conform to the setting's schema, patches, and any JSON at all.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Map, Value, json};

/// Scalars, a few of each type, so that values meet.
pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(0.5)),
        Just(json!(u64::MAX)),
        "[a-c]{0,2}".prop_map(Value::from),
    ]
}

/// Any JSON, with names that mean something here.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("$patch"),
        Just("$retainKeys"),
        Just("$setElementOrder/tags"),
        Just("$deleteFromPrimitiveList/tags"),
        Just("spec"),
        Just("metadata"),
        Just("status"),
        Just("steps"),
        Just("tags"),
        Just("name"),
        Just("ports"),
        Just("finalizers"),
        Just("ownerReferences"),
        Just("uid"),
        Just("managedFields"),
        Just("apiVersion"),
        Just("labels"),
        Just("annotations"),
        Just("block"),
        Just("free"),
        Just("op"),
        Just("path"),
        Just("value"),
        Just("fieldsV1"),
        Just("f:spec"),
        Just("k:{\"name\":\"a\"}"),
        Just("."),
    ];
    let leaf = prop_oneof![
        scalar(),
        prop_oneof![Just("replace"), Just("delete"), Just("stub.dev/v1")].prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((name.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn text() -> impl Strategy<Value = Value> {
    "[x-z]".prop_map(Value::from)
}

fn texts() -> impl Strategy<Value = Value> {
    btree_map("[a-c]", text(), 1..3).prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// An object of those members that are there.
fn record(members: Vec<(&'static str, Option<Value>)>) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

fn port() -> impl Strategy<Value = Value> {
    (1_i64..3, option::of(prop_oneof![Just("TCP"), Just("UDP")]), option::of(text())).prop_map(
        |(port, protocol, note): (i64, Option<&str>, _)| {
            record(vec![("port", Some(port.into())), ("protocol", protocol.map(Value::from)), ("note", note)])
        },
    )
}

fn ports() -> impl Strategy<Value = Value> {
    vec(port(), 1..4).prop_map(|ports| {
        let id =
            |port: &Value| (port["port"].to_string(), port["protocol"].as_str().unwrap_or("TCP").to_owned());
        let mut seen = std::collections::BTreeSet::new();
        Value::Array(ports.into_iter().filter(|port| seen.insert(id(port))).collect())
    })
}

fn step(name: &'static str) -> impl Strategy<Value = Value> {
    (option::of(text()), option::of(texts()), option::of(ports())).prop_map(move |(cmd, env, ports)| {
        record(vec![("name", Some(name.into())), ("cmd", cmd), ("env", env), ("ports", ports)])
    })
}

fn steps() -> impl Strategy<Value = Value> {
    (subsequence(vec!["a", "b", "c", "d"], 1..4))
        .prop_shuffle()
        .prop_flat_map(|names| names.into_iter().map(step).collect::<Vec<_>>().prop_map(Value::from))
}

fn tags() -> impl Strategy<Value = Value> {
    subsequence(vec!["a", "b", "c", "d"], 1..4).prop_shuffle().prop_map(Value::from)
}

fn free() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![text(), vec(text(), 0..3).prop_map(Value::from)];
    let inner = btree_map("[a-c]", leaf, 1..3).prop_map(|map| Value::Object(map.into_iter().collect()));
    btree_map("[a-c]", prop_oneof![text(), inner], 1..3)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// A spec. No member of it is null or empty.
pub(crate) fn spec() -> impl Strategy<Value = Value> {
    let block = (option::of(0..3), text())
        .prop_map(|(max, backoff)| record(vec![("max", max.map(Value::from)), ("backoff", Some(backoff))]));
    (
        option::of(0..3),
        option::of(tags()),
        option::of(vec(text(), 1..3)),
        option::of(steps()),
        option::of(texts()),
        option::of(texts()),
        option::of(block),
        option::of(free()),
    )
        .prop_map(|(replicas, tags, args, steps, limits, vars, block, free)| {
            record(vec![
                ("replicas", replicas.map(Value::from)),
                ("tags", tags),
                ("args", args.map(Value::from)),
                ("steps", steps),
                ("limits", limits),
                ("vars", vars),
                ("block", block),
                ("free", free),
            ])
        })
}

/// Two halves of a spec that have no field in common: of each map and list that is taken apart, some entries go here
/// and some there.
pub(crate) fn split(spec: &Value, mut coin: impl FnMut() -> bool) -> (Value, Value) {
    let (mut here, mut there) = (Map::new(), Map::new());
    for (name, value) in spec.as_object().unwrap() {
        let (a, b) = match (name.as_str(), value) {
            ("tags" | "steps", Value::Array(items)) => {
                let (a, b): (Vec<_>, Vec<_>) = items.iter().cloned().partition(|_| coin());
                (Value::from(a), Value::from(b))
            }
            ("vars" | "block" | "free", Value::Object(members)) => {
                let (a, b): (Map<_, _>, Map<_, _>) = members.clone().into_iter().partition(|_| coin());
                (Value::from(a), Value::from(b))
            }
            _ if coin() => (value.clone(), Value::Null),
            _ => (Value::Null, value.clone()),
        };
        let there_is = |half: &Value| !(half.is_null() || *half == json!([]) || *half == json!({}));
        if there_is(&a) {
            here.insert(name.clone(), a);
        }
        if there_is(&b) {
            there.insert(name.clone(), b);
        }
    }
    (Value::Object(here), Value::Object(there))
}

/// Part of a spec: some of its entries, at every level.
pub(crate) fn part(value: &Value, coin: &mut impl FnMut() -> bool) -> Value {
    match value {
        Value::Object(members) => {
            let mut left = Map::new();
            for (name, member) in members {
                // What identifies an item, and what is one value, is not cut.
                let whole = ["name", "port", "protocol", "limits", "args"].contains(&name.as_str());
                let key = ["name", "port", "protocol"].contains(&name.as_str());
                if key || coin() {
                    let kept = if whole { member.clone() } else { part(member, coin) };
                    let empty = kept == json!({}) || (kept == json!([]) && *member != json!([]));
                    if !empty {
                        left.insert(name.clone(), kept);
                    }
                }
            }
            Value::Object(left)
        }
        // Lists under `free` are one value; those of objects and tags are not.
        Value::Array(items) if items.iter().all(Value::is_object) && !items.is_empty() => {
            let some: Vec<_> = items.iter().filter(|_| coin()).collect();
            some.into_iter().map(|item| part(item, coin)).collect::<Vec<_>>().into()
        }
        other => other.clone(),
    }
}

//! No input makes a panic, and what comes of it can be read again.

use drover_patch::apply::apply;
use drover_patch::managers::Managers;
use drover_patch::update::{is_no_change, update};
use drover_patch::{Endpoint, Request, Shape, json_patch, merge_patch, strategic};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generated::any_json;
use crate::setting::{SHAPE, VERSION, by, forced, object};

fn endpoint() -> impl Strategy<Value = Endpoint<'static>> {
    prop_oneof![
        Just(Endpoint::Whole),
        Just(Endpoint::Main),
        Just(Endpoint::Status),
        Just(Endpoint::Other("scale"))
    ]
}

/// A name that a directive has.
fn has_directive(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            name == "$patch"
                || name == "$retainKeys"
                || name.starts_with("$setElementOrder/")
                || has_directive(value)
        }),
        Value::Array(items) => items.iter().any(has_directive),
        _ => false,
    }
}

fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(json!(1), |inner, _| wrap(inner))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_can_be_applied_to_any_other(
        live in any_json(), mut config in any_json(), endpoint in endpoint(), manager in prop_oneof![Just("m"), Just("kubectl")],
    ) {
        if let Some(members) = config.as_object_mut() {
            members.insert("apiVersion".into(), VERSION.into());
        }
        let request = Request { endpoint, ..forced(manager) };
        for shape in [&*SHAPE, &Shape::untyped(), &Shape::from_schema(&live, "")] {
            let request = Request { shape, ..request };
            if let Ok(outcome) = apply(Some(&live), config.clone(), &request) {
                let again = apply(Some(outcome.object()), config.clone(), &request);
                prop_assert!(again.is_ok(), "{:?}", again);
            }
            let next = update(Some(&live), config.clone(), &request);
            prop_assert!(next.is_object() == config.is_object());
            prop_assert!(is_no_change(&next, &next));
            update(None, config.clone(), &request);
        }
    }

    #[test]
    fn any_patch_can_be_given_to_any_object(target in any_json(), patch in any_json()) {
        if let Ok(patched) = strategic::apply(&target, &patch, &SHAPE) {
            prop_assert!(has_directive(&target) || !has_directive(&patched), "{}", patched);
        }
        let _ = merge_patch::apply(&target, &patch);
        let _ = json_patch::apply(&target, &patch);
        let _ = json_patch::apply(&target, &json!([patch]));
        let _ = Managers::decode(&patch).map(|managers| managers.encode());
    }
}

#[test]
fn what_is_128_levels_deep_is_patched_like_anything_else() {
    let objects = nested(124, |inner| json!({"a": inner}));
    let lists = nested(124, |inner| json!([inner]));
    for deep in [objects, lists] {
        let spec = json!({"free": deep});
        let live = apply(None, object(&spec), &by("m")).unwrap().into_object();
        let read = Managers::decode(&live["metadata"]["managedFields"]).unwrap();
        assert!(!read.is_empty());
        let dropped = apply(Some(&live), object(&json!({})), &by("m")).unwrap().into_object();
        assert_eq!(dropped.get("spec"), None);
        let created = update(None, object(&spec), &by("u"));
        assert_eq!(update(Some(&created), object(&json!({})), &by("u")), object(&json!({})));
        assert!(merge_patch::apply(&json!({}), &object(&spec)).is_ok());
        assert_eq!(strategic::apply(&json!({}), &object(&spec), &SHAPE), Ok(object(&spec)));
        let add = json!([{"op": "add", "path": "/spec", "value": spec}]);
        assert_eq!(json_patch::apply(&object(&json!({})), &add).unwrap()["spec"], spec);
    }
}

#[test]
fn deep_fields_in_a_body_are_dropped_and_the_stored_ones_kept() {
    let live = apply(None, object(&json!({"text": "x"})), &by("m")).unwrap().into_object();
    let mut next = live.clone();
    next["metadata"]["managedFields"][0]["fieldsV1"] = nested(130, |inner| json!({"f:a": inner}));
    assert_eq!(update(Some(&live), next, &by("n")), live);
}

#[test]
fn long_lists_are_merged_without_comparing_each_with_each() {
    // Each with each would be a hundred million comparisons, several times over.
    let names: Vec<String> = (0..10_000).map(|i| format!("n{i}")).collect();
    let reversed: Vec<&String> = names.iter().rev().collect();
    let steps: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    let live = object(&json!({"tags": names, "steps": steps}));
    let mut back = steps.clone();
    back.reverse();
    let patch = json!({"spec": {
        "tags": reversed, "steps": back,
        "$setElementOrder/tags": reversed, "$deleteFromPrimitiveList/tags": ["n5"],
    }});
    let patched = strategic::apply(&live, &patch, &SHAPE).unwrap();
    assert_eq!(patched["spec"]["steps"].as_array().unwrap().len(), 10_000);
    assert_eq!(patched["spec"]["tags"][0], "n9999");
    let first = apply(None, live, &by("m")).unwrap().into_object();
    let turned = object(&json!({"tags": reversed, "steps": back}));
    let second = apply(Some(&first), turned, &by("m")).unwrap().into_object();
    assert_eq!(second["spec"]["tags"][0], "n9999");
}

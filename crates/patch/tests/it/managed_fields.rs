//! `managedFields` as they are written and read.

use drover_patch::fields::{Element, FieldSet, FieldsError};
use drover_patch::managers::{ManagedFieldsError, Managers, Operation};
use drover_patch::update::update;
use drover_patch::{Request, Scalar};
use serde_json::{Value, json};

use crate::setting::{applied, at, by, object, owned};

#[test]
fn an_apply_writes_what_it_lists_and_an_update_also_what_leads_there() {
    let spec = json!({
        "replicas": 1, "tags": ["a"], "limits": {"cpu": "1"}, "vars": {"x": "1"},
        "steps": [{"name": "a", "ports": [{"port": 80}]}],
    });
    let live = applied(None, &spec, &by("m"));
    let step = json!({
        ".": {}, "f:name": {},
        "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
    });
    let fields = json!({
        "f:replicas": {}, "f:tags": {"v:\"a\"": {}}, "f:limits": {}, "f:vars": {"f:x": {}},
        "f:steps": {"k:{\"name\":\"a\"}": step},
    });
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{
            "manager": "m", "operation": "Apply", "apiVersion": "stub.dev/v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields},
        }])
    );
    let created = update(None, object(&json!({"replicas": 1, "vars": {"x": "1"}})), &by("m"));
    assert_eq!(
        created["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {".": {}, "f:replicas": {}, "f:vars": {".": {}, "f:x": {}}}})
    );
    assert_eq!(created["metadata"]["managedFields"][0]["operation"], "Update");
}

#[test]
fn entries_are_in_the_order_that_clients_know() {
    let entry = |manager: &str, operation: &str, version: &str, time: Option<&str>, subresource: &str| {
        let mut entry = json!({
            "manager": manager, "operation": operation, "apiVersion": version,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}},
        });
        if let Some(time) = time {
            entry["time"] = time.into();
        }
        if !subresource.is_empty() {
            entry["subresource"] = subresource.into();
        }
        entry
    };
    let early = Some("2026-01-01T00:00:00Z");
    let late = Some("2026-01-01T00:00:01Z");
    let sorted = json!([
        entry("z", "Apply", "g/v1", early, ""),
        entry("a", "Apply", "g/v1", late, ""),
        entry("z", "Update", "g/v1", None, ""),
        entry("a", "Update", "g/v1", early, ""),
        entry("a", "Update", "g/v1", early, "status"),
        entry("a", "Update", "g/v2", early, ""),
        entry("b", "Update", "g/v1", early, ""),
        entry("a", "Update", "g/v1", late, "scale"),
    ]);
    let mut mixed = sorted.clone();
    mixed.as_array_mut().unwrap().reverse();
    assert_eq!(Managers::decode(&mixed).unwrap().encode(), sorted);
}

#[test]
fn times_of_every_form_are_kept_in_whole_seconds() {
    for time in ["2026-11-22T07:28:39.265196+00:00", "2026-11-22T07:28:39.000Z", "2026-11-22T09:28:39+02:00"]
    {
        let list = json!([{
            "manager": "m", "operation": "Update", "apiVersion": "v1", "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}},
        }]);
        assert_eq!(Managers::decode(&list).unwrap().encode()[0]["time"], "2026-11-22T07:28:39Z");
    }
}

#[test]
fn with_more_than_ten_updaters_the_oldest_become_one() {
    let mut live = update(None, object(&json!({"replicas": 0})), &by("m0"));
    for i in 1..=14 {
        let mut next = live.clone();
        next["spec"]["vars"][format!("v{i}")] = "x".into();
        let name = format!("m{i}");
        live = update(Some(&live), next, &Request { now: at(i), ..by(&name) });
    }
    let managers = Managers::of(&live);
    let names: Vec<_> = managers.iter().map(|(id, _)| id.manager.as_str()).collect();
    assert_eq!(names.len(), 10);
    assert_eq!(names[0], "ancient-changes");
    for (i, field) in [(1, "v1"), (5, "v5")] {
        let path = [Element::field("spec"), Element::field("vars"), Element::field(field)];
        assert!(owned(&live, "ancient-changes", Operation::Update).contains(&path), "{i}");
    }
    let ancient = managers.iter().find(|(id, _)| id.manager == "ancient-changes").unwrap().1;
    assert_eq!(ancient.time, Some(at(5)));
    // Appliers are never merged.
    for i in 0..14 {
        live = applied(Some(&live), &json!({"args": ["same"]}), &by(&format!("a{i}")));
    }
    assert_eq!(Managers::of(&live).iter().count(), 24);
}

#[test]
fn paths_are_printed_as_clients_know_them() {
    let scalar = |value: Value| Scalar::new(value).unwrap();
    let table = [
        (
            vec![Element::field("spec"), Element::field("x"), Element::Value(scalar(json!("v")))],
            ".spec.x[=\"v\"]",
        ),
        (
            vec![
                Element::field("ports"),
                Element::Key(vec![
                    ("port".into(), scalar(json!(80))),
                    ("protocol".into(), scalar(json!("TCP"))),
                ]),
            ],
            ".ports[port=80,protocol=\"TCP\"]",
        ),
        (vec![Element::field("l"), Element::Index(0)], ".l[0]"),
        (vec![Element::Value(scalar(json!(1.5)))], "[=1.5]"),
    ];
    for (path, text) in table {
        let set: FieldSet = [path.as_slice()].into_iter().collect();
        assert_eq!(set.paths()[0].to_string(), text);
    }
}

#[test]
fn what_is_no_fields_v1_is_refused_and_unknown_steps_are_left_out() {
    let read = |value: Value| FieldSet::from_v1(&value);
    assert!(read(json!({"x:new": {}, "f:a": {}})).is_ok_and(|set| set.len() == 1));
    assert_eq!(read(json!([])), Err(FieldsError::NotAnObject));
    assert_eq!(read(json!({"f:a": 1})), Err(FieldsError::NotAnObject));
    for step in ["a", "k:1", "k:{}", "k:{\"a\":{}}", "k:{", "v:", "v:[1]", "i:x", "i:-1", ""] {
        let refused = read(json!({step: {}}));
        assert_eq!(refused, Err(FieldsError::NotAnElement(step.into())));
    }
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({"f:a": deep});
    }
    assert_eq!(read(deep), Err(FieldsError::TooDeep));
    let wide: Value =
        (0..400_001).map(|i| (format!("f:{i}"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(read(wide), Err(FieldsError::TooLarge));
    // The object itself is in no set.
    assert!(read(json!({".": {}})).is_ok_and(|set| set.is_empty()));
    assert!(read(json!({})).is_ok_and(|set| set.is_empty()));
}

#[test]
fn what_is_no_entry_is_refused_with_its_place() {
    let good = json!({
        "manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}},
    });
    let with = |member: &str, value: Value| {
        let mut entry = good.clone();
        entry[member] = value;
        Managers::decode(&json!([good, entry]))
    };
    assert!(with("time", json!(null)).is_ok());
    for (member, value) in [
        ("operation", json!("Delete")),
        ("operation", json!(null)),
        ("apiVersion", json!("")),
        ("fieldsType", json!("FieldsV2")),
        ("time", json!("yesterday")),
        ("time", json!(5)),
        ("manager", json!(5)),
        ("subresource", json!([])),
    ] {
        let refused = with(member, value).unwrap_err().to_string();
        assert_eq!(refused, format!("managedFields[1].{member} cannot be read"));
    }
    assert!(matches!(with("fieldsV1", json!({"a": 1})), Err(ManagedFieldsError::Fields { index: 1, .. })));
    assert_eq!(Managers::decode(&json!({})), Err(ManagedFieldsError::NotAList));
    assert_eq!(Managers::decode(&json!(vec![1; 10_001])), Err(ManagedFieldsError::TooMany));
    assert!(Managers::decode(&json!([1])).is_err());
}

//! Ownership after creates, replaces and patches.

use drover_patch::managers::{Managers, Operation};
use drover_patch::update::{is_no_change, update};
use drover_patch::{Endpoint, Request};
use serde_json::{Value, json};

use crate::setting::{all_applied, applied, at, by, object, owned, paths};

#[test]
fn who_changes_a_field_owns_it_and_nobody_else_does() {
    let live = all_applied(&[("m", json!({"replicas": 1, "text": "x", "tags": ["a", "b"]}))]);
    let mut next = live.clone();
    next["spec"] = json!({"replicas": 2, "text": "x", "tags": ["a"], "args": ["1"]});
    let live = update(Some(&live), next, &Request { now: at(5), ..by("editor") });
    assert_eq!(paths(&live, "m", Operation::Apply), [".spec.text", ".spec.tags[=\"a\"]"]);
    assert_eq!(paths(&live, "editor", Operation::Update), [".spec.args", ".spec.replicas"]);
    // What goes leaves all sets.
    let mut next = live.clone();
    next["spec"] = json!({"tags": ["a"]});
    let live = update(Some(&live), next, &by("third"));
    assert_eq!(paths(&live, "m", Operation::Apply), [".spec.tags[=\"a\"]"]);
    assert_eq!(Managers::of(&live).iter().count(), 1);
}

#[test]
fn a_write_that_changes_nothing_keeps_times_and_entries() {
    let mut live = all_applied(&[("m", json!({"replicas": 1}))]);
    // As somebody else wrote it, who left the time out.
    live["metadata"]["managedFields"][0].as_object_mut().unwrap().remove("time");
    let later = Request { now: at(99), ..by("m") };
    assert_eq!(update(Some(&live), live.clone(), &later), live);
    let mut without = live.clone();
    without["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert_eq!(update(Some(&live), without, &later), live);

    let created = update(None, object(&json!({"replicas": 1})), &by("m"));
    assert_eq!(update(Some(&created), created.clone(), &later), created);
    assert!(is_no_change(&created, &created));
}

#[test]
fn times_and_revisions_alone_are_no_change() {
    let live = all_applied(&[("m", json!({"replicas": 1}))]);
    let mut next = live.clone();
    next["metadata"]["managedFields"][0]["time"] = "2030-01-01T00:00:00Z".into();
    next["metadata"]["resourceVersion"] = "9".into();
    next["spec"]["text"] = json!(null);
    assert!(is_no_change(&live, &next));
    next["spec"]["text"] = json!("x");
    assert!(!is_no_change(&live, &next));
    let mut next = live.clone();
    next["metadata"]["managedFields"][0]["manager"] = "n".into();
    assert!(!is_no_change(&live, &next));
    let mut next = live.clone();
    next["metadata"]["labels"] = json!({"a": "b"});
    assert!(!is_no_change(&live, &next));
}

#[test]
fn managed_fields_in_a_body_count_unless_they_cannot_be_read() {
    let live = all_applied(&[("m", json!({"replicas": 1, "text": "x"}))]);
    let given = |list: Value| {
        let mut next = live.clone();
        next["metadata"]["managedFields"] = list;
        update(Some(&live), next, &by("writer"))
    };
    let entry = json!({
        "manager": "n", "operation": "Apply", "apiVersion": "stub.dev/v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:text": {}}},
    });
    let taken = given(json!([entry]));
    assert_eq!(paths(&taken, "n", Operation::Apply), [".spec.text"]);
    assert!(owned(&taken, "m", Operation::Apply).is_empty());
    for reset in [json!([]), json!([{}])] {
        assert_eq!(given(reset).pointer("/metadata/managedFields"), None);
    }
    for nothing in [json!(null), json!("x"), json!([1]), json!([entry, {}]), json!([{"manager": "m"}])] {
        assert_eq!(given(nothing.clone()), live, "{nothing}");
    }
    // Through a subresource they do not count.
    let mut next = live.clone();
    next["metadata"]["managedFields"] = json!([]);
    next["status"] = json!({"seen": 1});
    let status = Request { endpoint: Endpoint::Status, ..by("controller") };
    let live = update(Some(&live), next, &status);
    assert_eq!(paths(&live, "m", Operation::Apply), [".spec.replicas", ".spec.text"]);
    assert_eq!(paths(&live, "controller", Operation::Update), [".status", ".status.seen"]);
}

#[test]
fn a_body_may_bring_managed_fields_to_a_new_object() {
    let mut body = object(&json!({"replicas": 1, "text": "x"}));
    body["metadata"]["managedFields"] = json!([{
        "manager": "n", "operation": "Apply", "apiVersion": "stub.dev/v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:text": {}}},
    }]);
    let live = update(None, body, &by("copier"));
    assert_eq!(paths(&live, "copier", Operation::Update), [".spec", ".spec.replicas", ".spec.text"]);
    assert!(owned(&live, "n", Operation::Apply).is_empty(), "it was all set by the write");
}

#[test]
fn an_object_that_nobody_owns_is_not_tracked_until_somebody_applies() {
    let old = object(&json!({"replicas": 1, "text": "x"}));
    let mut next = old.clone();
    next["spec"]["text"] = "y".into();
    let live = update(Some(&old), next.clone(), &by("editor"));
    assert_eq!(live, next);
    let config = json!({"text": "z"});
    let error = drover_patch::apply::apply(Some(&live), object(&config), &by("m")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using stub.dev/v1: .spec.text"
    );
    let live = applied(Some(&live), &json!({"text": "y"}), &by("m"));
    assert_eq!(
        paths(&live, "before-first-apply", Operation::Update),
        [".spec", ".spec.replicas", ".spec.text"]
    );
    assert_eq!(paths(&live, "m", Operation::Apply), [".spec.text"]);
}

#[test]
fn a_write_to_the_scale_of_an_object_owns_its_replicas() {
    let live = all_applied(&[("m", json!({"replicas": 1, "text": "x"}))]);
    let mut next = live.clone();
    next["spec"]["replicas"] = json!(3);
    let scale = Request { endpoint: Endpoint::Other("scale"), ..by("scaler") };
    let live = update(Some(&live), next, &scale);
    assert_eq!(paths(&live, "m", Operation::Apply), [".spec.text"]);
    let error =
        drover_patch::apply::apply(Some(&live), object(&json!({"replicas": 1})), &by("m")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"scaler\" with subresource \"scale\" using stub.dev/v1: .spec.replicas"
    );
}

#[test]
fn without_a_name_the_manager_is_unknown() {
    let live = update(None, object(&json!({"replicas": 1})), &by(""));
    assert_eq!(live["metadata"]["managedFields"][0]["manager"], "unknown");
}

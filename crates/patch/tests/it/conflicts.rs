//! Conflicts and their words; force; sharing.

use drover_patch::apply::{ApplyError, Outcome, apply, apply_settled};
use drover_patch::conflict::Cause;
use drover_patch::managers::Operation;
use drover_patch::update::update;
use drover_patch::{Endpoint, LAST_APPLIED, Request};
use serde_json::{Value, json};

use crate::setting::{all_applied, applied, at, by, conflict, forced, object, owned, paths};

#[test]
fn one_conflict_is_told_in_one_line_with_the_version_of_an_update() {
    let live = update(None, object(&json!({"replicas": 1, "text": "x"})), &by("kubectl"));
    let error = apply(Some(&live), object(&json!({"replicas": 2, "text": "x"})), &by("other")).unwrap_err();
    let message =
        r#"Apply failed with 1 conflict: conflict with "kubectl" using stub.dev/v1: .spec.replicas"#;
    assert_eq!(error.to_string(), message);
    let ApplyError::Conflicts(conflicts) = error else { panic!("{error}") };
    let message = r#"conflict with "kubectl" using stub.dev/v1"#.to_owned();
    assert_eq!(conflicts.causes(), [Cause { message, field: ".spec.replicas".into() }]);
}

#[test]
fn conflicts_with_several_owners_are_told_by_owner() {
    let live = all_applied(&[
        ("zoe", json!({"replicas": 1, "tags": ["a"]})),
        ("adam", json!({"args": ["x"], "steps": [{"name": "a", "cmd": "true", "ports": [{"port": 80}]}]})),
    ]);
    let status = Request { endpoint: Endpoint::Status, ..by("adam") };
    let mut next = live.clone();
    next["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let live = update(Some(&live), next, &status);

    let config = json!({
        "replicas": 2, "tags": ["a"], "args": ["y"],
        "steps": [{"name": "a", "cmd": "false", "ports": [{"port": 80, "note": "new"}]}],
    });
    assert_eq!(
        conflict(apply(Some(&live), object(&config), &by("m"))),
        concat!(
            "Apply failed with 3 conflicts: conflicts with \"adam\":\n- .spec.args\n- .spec.steps[name=\"a\"].cmd\n",
            "conflicts with \"zoe\":\n- .spec.replicas"
        )
    );
    let mut config = object(&json!({}));
    config["status"] = json!({"conditions": [{"type": "Ready", "status": "False"}]});
    let through_status = Request { endpoint: Endpoint::Status, ..by("m") };
    assert_eq!(
        conflict(apply(Some(&live), config, &through_status)),
        concat!(
            "Apply failed with 1 conflict: conflict with \"adam\" with subresource \"status\" using stub.dev/v1: ",
            ".status.conditions[type=\"Ready\"].status"
        )
    );
}

#[test]
fn the_same_value_is_shared_and_is_no_conflict() {
    let live = all_applied(&[("a", json!({"replicas": 1})), ("b", json!({"replicas": 1}))]);
    assert_eq!(paths(&live, "a", Operation::Apply), [".spec.replicas"]);
    assert_eq!(paths(&live, "b", Operation::Apply), [".spec.replicas"]);
    // One and one point nothing are worth the same.
    let same = apply(Some(&live), object(&json!({"replicas": 1.0})), &by("c")).unwrap();
    assert_eq!(paths(same.object(), "c", Operation::Apply), [".spec.replicas"]);
    // Neither of them can change it alone.
    assert!(apply(Some(&live), object(&json!({"replicas": 2})), &by("a")).is_err());
}

/// An admission that writes `90s` as `1m30s`, and fills in what is missing.
fn settled(object: &Value) -> Option<Value> {
    let mut object = object.clone();
    let spec = object.get_mut("spec")?.as_object_mut()?;
    if spec.get("text").is_some_and(|text| text == "90s") {
        spec.insert("text".into(), "1m30s".into());
    }
    spec.entry("replicas").or_insert_with(|| 1.into());
    Some(object)
}

#[test]
fn a_value_that_is_stored_in_another_way_than_it_was_written_is_the_same() {
    let stored = |outcome: Outcome| settled(outcome.object()).unwrap();
    let config = object(&json!({"text": "90s"}));
    let live = stored(apply_settled(None, config.clone(), &by("a"), &settled).unwrap());
    assert_eq!(live["spec"], json!({"text": "1m30s", "replicas": 1}));
    let again = apply_settled(Some(&live), config.clone(), &by("a"), &settled);
    assert_eq!(again, Ok(Outcome::Unchanged(live.clone())));
    let both = stored(apply_settled(Some(&live), config.clone(), &by("b"), &settled).unwrap());
    assert_eq!(paths(&both, "a", Operation::Apply), [".spec.text"]);
    assert_eq!(paths(&both, "b", Operation::Apply), [".spec.text"]);
    // Without being told, it is another text.
    assert!(apply(Some(&live), config, &by("b")).is_err());
    let other = object(&json!({"text": "91s"}));
    assert!(apply_settled(Some(&live), other, &by("b"), &settled).is_err());
    let null = object(&json!({"text": null}));
    assert!(apply_settled(Some(&live), null, &by("b"), &settled).is_err());
}

#[test]
fn the_note_of_kubectl_is_true_in_whatever_way_it_is_stored() {
    let config = |text: &str| object(&json!({"text": text}));
    let mut body = config("90s");
    body["metadata"]["annotations"] = json!({LAST_APPLIED: body.to_string()});
    let live = update(None, settled(&body).unwrap(), &by("kubectl-client-side-apply"));
    assert_eq!(live["spec"]["text"], "1m30s");
    for text in ["90s", "2m"] {
        let next = apply_settled(Some(&live), config(text), &by("kubectl"), &settled);
        assert!(next.is_ok(), "{next:?}");
    }
    assert!(apply(Some(&live), config("2m"), &by("kubectl")).is_err());
}

#[test]
fn force_takes_what_conflicts_and_nothing_else() {
    let live = all_applied(&[("a", json!({"replicas": 1, "text": "x", "tags": ["t"]}))]);
    let live = applied(Some(&live), &json!({"replicas": 2, "tags": ["t"]}), &forced("b"));
    assert_eq!(live["spec"], json!({"replicas": 2, "text": "x", "tags": ["t"]}));
    assert_eq!(paths(&live, "a", Operation::Apply), [".spec.text", ".spec.tags[=\"t\"]"]);
    assert_eq!(paths(&live, "b", Operation::Apply), [".spec.replicas", ".spec.tags[=\"t\"]"]);
}

#[test]
fn an_owner_of_nothing_is_no_manager() {
    let live = all_applied(&[("a", json!({"replicas": 1}))]);
    let live = applied(Some(&live), &json!({"replicas": 2}), &forced("b"));
    assert!(owned(&live, "a", Operation::Apply).is_empty());
    assert_eq!(live["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    let live = applied(Some(&live), &json!({}), &by("b"));
    assert_eq!(live.pointer("/metadata/managedFields"), None);
}

#[test]
fn an_apply_that_changes_nothing_returns_the_stored_object_to_the_second() {
    let live = all_applied(&[("a", json!({"replicas": 1, "steps": [{"name": "a"}]}))]);
    let again = Request { now: at(3600), ..by("a") };
    let outcome =
        apply(Some(&live), object(&json!({"replicas": 1, "steps": [{"name": "a"}]})), &again).unwrap();
    assert_eq!(outcome, Outcome::Unchanged(live.clone()));
    // A change of ownership is a change.
    let outcome = apply(Some(&live), object(&json!({"replicas": 1})), &again).unwrap();
    let Outcome::Changed(next) = outcome else { panic!("{outcome:?}") };
    assert_eq!(next["metadata"]["managedFields"][0]["time"], "2026-01-01T01:00:00Z");
}

#[test]
fn what_no_apply_may_say_is_refused() {
    let good = object(&json!({"replicas": 1}));
    assert_eq!(apply(None, good.clone(), &by("")), Err(ApplyError::NoManager));
    assert_eq!(apply(None, json!([]), &by("m")), Err(ApplyError::NotAnObject));
    let mut config = good.clone();
    config["metadata"]["managedFields"] = json!([]);
    assert_eq!(apply(None, config.clone(), &by("m")), Err(ApplyError::ManagedFields));
    config["metadata"]["managedFields"] = json!(null);
    assert!(apply(None, config, &by("m")).is_ok());
    let mut config = good.clone();
    config["apiVersion"] = "stub.dev/v2".into();
    assert!(matches!(apply(None, config, &by("m")), Err(ApplyError::Version { .. })));
    let mut config = good;
    config["metadata"]["uid"] = "u".into();
    assert_eq!(apply(None, config, &by("m")), Err(ApplyError::Gone("u".into())));
}

#[test]
fn items_that_cannot_be_told_apart_are_refused_with_their_place() {
    let table = [
        (json!({"steps": [{"cmd": "x"}]}), ".spec.steps: item 0 has none of the key fields of the list"),
        (json!({"steps": [null]}), ".spec.steps: item 0 is not an object, and the list is a map by key"),
        (
            json!({"steps": [{"name": "a"}, {"name": "a"}]}),
            ".spec.steps: item 1 is there twice: [name=\"a\"]",
        ),
        (json!({"tags": ["a", "b", "a"]}), ".spec.tags: item 2 is there twice: [=\"a\"]"),
        (json!({"tags": [["a"]]}), ".spec.tags: item 0 is told from others by a value that is not a scalar"),
        (
            json!({"steps": [{"name": "a", "ports": [{"port": 1}, {"port": 1, "protocol": "TCP"}]}]}),
            ".spec.steps[name=\"a\"].ports: item 1 is there twice: [port=1,protocol=\"TCP\"]",
        ),
    ];
    for (spec, message) in table {
        assert_eq!(apply(None, object(&spec), &by("m")).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_explicit_null_owns_its_field_and_empties_it() {
    let live = all_applied(&[("a", json!({"replicas": 1}))]);
    let config = object(&json!({"text": null, "replicas": null}));
    assert_eq!(
        conflict(apply(Some(&live), config.clone(), &by("b"))),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas"
    );
    let live = apply(Some(&live), config.clone(), &forced("b")).unwrap().into_object();
    assert_eq!(live["spec"], json!({}));
    assert_eq!(paths(&live, "b", Operation::Apply), [".spec.replicas", ".spec.text"]);
    assert_eq!(apply(Some(&live), config, &by("b")), Ok(Outcome::Unchanged(live.clone())));
    // Who says the same shares it.
    let shared = apply(Some(&live), object(&json!({"text": null})), &by("c")).unwrap().into_object();
    assert_eq!(paths(&shared, "c", Operation::Apply), [".spec.text"]);
    assert_eq!(
        conflict(apply(Some(&live), object(&json!({"text": "x"})), &by("c"))),
        "Apply failed with 1 conflict: conflict with \"b\": .spec.text"
    );
}

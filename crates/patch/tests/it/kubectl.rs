//! What kubectl and kube-rs send.

use drover_patch::apply::{Outcome, apply};
use drover_patch::managers::{Managers, Operation};
use drover_patch::update::update;
use drover_patch::{LAST_APPLIED, Request, json_patch, merge_patch};
use serde_json::{Value, json};

use crate::setting::{at, by, conflict, object, owned, paths};

const CLIENT_SIDE: &str = "kubectl-client-side-apply";

/// An object as kubectl's own apply makes it, with its note.
fn client_side(spec: &Value) -> Value {
    let mut body = object(spec);
    let note = format!("{body}\n");
    body["metadata"]["annotations"] = json!({LAST_APPLIED: note});
    body
}

#[test]
fn an_object_of_client_side_apply_is_taken_over_in_four_patches() {
    let created = client_side(&json!({"replicas": 1, "text": "x", "tags": ["a"]}));
    let live = update(None, created, &by(CLIENT_SIDE));
    let config = json!({"replicas": 2, "tags": ["a"]});

    // 1. What kubectl itself set before is no conflict.
    let live = apply(Some(&live), object(&config), &by("kubectl")).unwrap().into_object();
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(live["spec"]["text"], "x", "client-side apply still owns it");
    let note: Value =
        serde_json::from_str(live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap()).unwrap();
    assert_eq!(note, object(&config), "the note follows");

    // 2. The note gets an owner that keeps it.
    let mut only_note = object(&json!({}));
    only_note.as_object_mut().unwrap().remove("spec");
    only_note["metadata"]["annotations"] = live["metadata"]["annotations"].clone();
    let live = apply(Some(&live), only_note, &by("kubectl-last-applied")).unwrap().into_object();

    // 3. What client-side apply owns goes over to the applier, by a JSON patch with the revision in it.
    let mut live = live;
    live["metadata"]["resourceVersion"] = "7".into();
    let union =
        owned(&live, CLIENT_SIDE, Operation::Update).union(&owned(&live, "kubectl", Operation::Apply));
    let mut entries = live["metadata"]["managedFields"].as_array().unwrap().clone();
    entries.retain(|entry| entry["manager"] != CLIENT_SIDE);
    let own = entries.iter_mut().find(|entry| entry["manager"] == "kubectl").unwrap();
    own["fieldsV1"] = union.to_v1();
    let patch = json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    ]);
    let next = json_patch::apply(&live, &patch).unwrap();
    let live = update(Some(&live), next, &by("kubectl"));
    assert!(owned(&live, CLIENT_SIDE, Operation::Update).is_empty());
    assert_eq!(owned(&live, "kubectl", Operation::Apply), union);

    // 4. Now what the configuration has dropped goes, and the note stays.
    let live = apply(Some(&live), object(&config), &by("kubectl")).unwrap().into_object();
    assert_eq!(live["spec"], json!({"replicas": 2, "tags": ["a"]}));
    assert!(live["metadata"]["annotations"][LAST_APPLIED].is_string());
    let names: Vec<String> = Managers::of(&live).iter().map(|(id, _)| id.manager.clone()).collect();
    assert_eq!(names, ["kubectl", "kubectl-last-applied"]);
    // And that is all there is to do.
    let again = Request { now: at(60), ..by("kubectl") };
    assert_eq!(apply(Some(&live), object(&config), &again), Ok(Outcome::Unchanged(live)));
}

#[test]
fn the_note_excuses_kubectl_alone_and_only_where_it_is_still_true() {
    let live = update(None, client_side(&json!({"replicas": 1, "text": "x"})), &by(CLIENT_SIDE));
    let mut next = live.clone();
    next["spec"]["text"] = "scaled".into();
    let live = update(Some(&live), next, &by("controller"));
    let config = object(&json!({"replicas": 2, "text": "y"}));
    assert_eq!(
        conflict(apply(Some(&live), config.clone(), &by("kubectl"))),
        "Apply failed with 1 conflict: conflict with \"controller\" using stub.dev/v1: .spec.text"
    );
    let others = conflict(apply(Some(&live), config, &by("flux")));
    assert!(others.starts_with("Apply failed with 2 conflicts"), "{others}");
    for note in ["", "{", "[]", "{\"apiVersion\":\"stub.dev/v0\",\"spec\":{\"replicas\":1}}"] {
        let mut live = live.clone();
        live["metadata"]["annotations"][LAST_APPLIED] = note.into();
        let config = object(&json!({"replicas": 2}));
        assert_eq!(
            conflict(apply(Some(&live), config, &by("kubectl"))),
            "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using stub.dev/v1: .spec.replicas"
        );
    }
}

#[test]
fn a_note_for_which_there_is_no_room_is_left_out() {
    let live = update(None, client_side(&json!({"text": "x"})), &by(CLIENT_SIDE));
    let config = object(&json!({"text": "x", "vars": {"long": "v".repeat(256 * 1024)}}));
    let live = apply(Some(&live), config, &by("kubectl")).unwrap().into_object();
    assert_eq!(live["metadata"]["annotations"].get(LAST_APPLIED), None);
}

#[test]
fn an_object_without_a_note_gets_none() {
    let live = apply(None, object(&json!({"text": "x"})), &by("kubectl")).unwrap().into_object();
    assert_eq!(live["metadata"].get("annotations"), None);
}

#[test]
fn the_finalizer_patch_of_kube_rs_adds_and_removes() {
    let mut live = object(&json!({"replicas": 1}));
    let patch = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["k/f"]},
    ]);
    live = json_patch::apply(&live, &patch).unwrap();
    assert_eq!(live["metadata"]["finalizers"], json!(["k/f"]));
    assert!(json_patch::apply(&live, &patch).is_err(), "there is one now");
    let patch = json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "k/f"},
        {"op": "remove", "path": "/metadata/finalizers/0", "path_": "ignored"},
    ]);
    live = json_patch::apply(&live, &patch).unwrap();
    assert_eq!(live["metadata"]["finalizers"], json!([]));
}

#[test]
fn the_merge_patch_of_kubectl_label_owns_the_label() {
    let live = apply(None, object(&json!({"replicas": 1})), &by("m")).unwrap().into_object();
    let patched = merge_patch::apply(&live, &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    let live = update(Some(&live), patched, &by("kubectl-label"));
    assert_eq!(paths(&live, "kubectl-label", Operation::Update), [".metadata.labels", ".metadata.labels.a"]);
    let patched = merge_patch::apply(&live, &json!({"metadata": {"labels": {"a": null}}})).unwrap();
    let live = update(Some(&live), patched, &by("kubectl-label"));
    assert_eq!(paths(&live, "kubectl-label", Operation::Update), [".metadata.labels"]);
}

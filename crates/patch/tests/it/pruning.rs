//! What goes with the manager that listed it, what stays, and in which order lists are.

use drover_patch::managers::Operation;
use drover_patch::update::update;
use drover_patch::{Endpoint, Request};
use serde_json::{Value, json};

use crate::setting::{all_applied, applied, by, forced, object, paths};

/// The spec after some applies.
fn spec(applies: &[(&str, Value)]) -> Value {
    all_applied(applies)["spec"].clone()
}

#[test]
fn what_a_manager_no_longer_lists_goes_unless_somebody_else_owns_it() {
    let all = json!({
        "replicas": 1, "tags": ["a", "b"], "vars": {"x": "1", "y": "2"}, "limits": {"cpu": "1"}, "args": ["1"],
        "steps": [{"name": "a", "cmd": "x", "env": {"k": "v"}}, {"name": "b"}],
        "free": {"deep": {"er": 1}, "list": [1]},
    });
    assert_eq!(spec(&[("m", all.clone()), ("m", json!({"replicas": 1}))]), json!({"replicas": 1}));
    let others = json!({"tags": ["b"], "vars": {"x": "1"}, "steps": [{"name": "a", "env": {"k": "v"}}]});
    assert_eq!(
        spec(&[("m", all.clone()), ("other", others), ("m", json!({"free": {"deep": {"er": 1}}}))]),
        json!({
            "tags": ["b"], "vars": {"x": "1"}, "steps": [{"name": "a", "env": {"k": "v"}}],
            "free": {"deep": {"er": 1}},
        })
    );
}

#[test]
fn what_an_update_owns_stays_with_the_item_that_leads_to_it() {
    let live =
        all_applied(&[("m", json!({"steps": [{"name": "a", "cmd": "x"}, {"name": "b"}], "tags": ["t"]}))]);
    let mut next = live.clone();
    next["spec"]["steps"][0]["env"] = json!({"k": "v"});
    let live = update(Some(&live), next, &by("controller"));
    let live = applied(Some(&live), &json!({"tags": ["t"]}), &by("m"));
    assert_eq!(live["spec"], json!({"tags": ["t"], "steps": [{"name": "a", "env": {"k": "v"}}]}));
}

#[test]
fn the_defaults_of_a_block_go_with_it_and_items_that_nobody_owns_stay() {
    let mut live =
        all_applied(&[("m", json!({"block": {"max": 1}, "vars": {"a": "1"}, "tags": ["t"], "text": "x"}))]);
    // As an admission fills in, which owns nothing.
    live["spec"]["block"]["backoff"] = "10s".into();
    live["spec"]["vars"]["b"] = "2".into();
    live["spec"]["tags"] = json!(["t", "u"]);
    let live = applied(Some(&live), &json!({"text": "x"}), &by("m"));
    assert_eq!(live["spec"], json!({"vars": {"b": "2"}, "tags": ["u"], "text": "x"}));
}

#[test]
fn a_block_that_is_only_named_keeps_what_others_put_in() {
    let live = all_applied(&[("m", json!({"block": {"max": 1}}))]);
    let mut next = live.clone();
    next["spec"]["block"] = json!({"max": 2, "backoff": "1s"});
    let live = update(Some(&live), next, &by("controller"));
    for named in [json!({"block": null}), json!({"block": {}}), json!({})] {
        let live = applied(Some(&live), &named, &by("m"));
        assert_eq!(live["spec"], json!({"block": {"max": 2, "backoff": "1s"}}));
    }
}

#[test]
fn lists_come_in_the_order_of_the_configuration_and_others_keep_their_place() {
    let names = |spec: &Value| -> String {
        spec["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
    };
    let table = [
        ("ab", "ba", "ba"),
        ("ab", "c", "abc"),
        ("abc", "xc", "abxc"),
        ("abc", "cx", "abcx"),
        ("abcd", "db", "acdb"),
        ("", "ab", "ab"),
    ];
    for (held, given, expected) in table {
        let tags = |text: &str| json!({"tags": text.chars().map(String::from).collect::<Vec<_>>()});
        let live = all_applied(&[("a", tags(held)), ("b", tags(given))]);
        assert_eq!(names(&live["spec"]), expected, "{held} with {given}");
        // And so it stays.
        assert_eq!(applied(Some(&live), &tags(given), &by("b")), live);
    }
}

#[test]
fn an_apply_to_status_touches_nothing_else_and_the_other_way_round() {
    let live = all_applied(&[("m", json!({"replicas": 1}))]);
    let through_status = Request { endpoint: Endpoint::Status, ..by("m") };
    let mut config = object(&json!({"replicas": 7}));
    config["metadata"]["labels"] = json!({"a": "b"});
    config["status"] = json!({"seen": 1, "conditions": [{"type": "Ready"}]});
    let live =
        drover_patch::apply::apply(Some(&live), config.clone(), &through_status).unwrap().into_object();
    assert_eq!(live["spec"], json!({"replicas": 1}));
    assert_eq!(live["metadata"].get("labels"), None);
    assert_eq!(live["status"], config["status"]);
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "one for each endpoint: {entries:?}");

    // What is applied to the object leaves status where it is.
    config["status"] = json!({"seen": 9});
    let live = drover_patch::apply::apply(Some(&live), config, &forced("m")).unwrap().into_object();
    assert_eq!(live["status"]["seen"], 1);
    assert_eq!(live["spec"]["replicas"], 7);
}

#[test]
fn the_server_s_own_metadata_is_never_owned_nor_set() {
    let mut config = object(&json!({"replicas": 1}));
    config["metadata"] = json!({
        "name": "t", "namespace": "default", "creationTimestamp": null, "generation": 7,
        "labels": {"a": "b"}, "annotations": {}, "finalizers": ["x/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}],
    });
    let live = drover_patch::apply::apply(None, config, &by("m")).unwrap().into_object();
    assert_eq!(live["metadata"].get("generation"), None);
    assert_eq!(live["metadata"].get("annotations"), None);
    assert_eq!(
        paths(&live, "m", Operation::Apply),
        [
            ".metadata.annotations",
            ".metadata.finalizers[=\"x/y\"]",
            ".metadata.labels.a",
            ".metadata.ownerReferences[uid=\"u\"]",
            ".spec.replicas",
        ]
    );
    // Dropping all of it leaves the name.
    let live = applied(Some(&live), &json!({}), &by("m"));
    assert_eq!(live["metadata"], json!({"name": "t", "namespace": "default"}));
}

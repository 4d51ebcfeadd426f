//! What may not change later, and what the objects that Drover itself writes must say.

use drover_types::{Kind, admit};
use serde_json::{Value, json};

use crate::refusals;

fn changed(kind: Kind, old: &Value, change: impl Fn(&mut Value)) -> Vec<String> {
    let old = admit(kind, old.clone(), None).unwrap().value;
    let mut new = old.clone();
    change(&mut new);
    match admit(kind, new, Some(&old)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn assignment() -> Value {
    json!({"metadata": {"name": "a"}, "spec": {
        "nodeName": "n", "workloadRef": {"kind": "Timer", "name": "t", "uid": "u", "generation": 1},
        "timer": {"every": "1m", "template": {"process": {"command": ["true"]}}}}})
}

fn run() -> Value {
    json!({"metadata": {"name": "r"}, "spec": {
        "nodeName": "n", "workloadRef": {"kind": "Timer", "name": "t", "uid": "u", "generation": 1}, "attempt": 1}})
}

#[test]
fn an_assignment_stays_with_its_node_and_workload() {
    let found = changed(Kind::Assignment, &assignment(), |a| a["spec"]["nodeName"] = "m".into());
    assert!(found[0].starts_with("spec.nodeName: Forbidden: field is immutable"), "{found:?}");
    let found = changed(Kind::Assignment, &assignment(), |a| a["spec"]["workloadRef"]["uid"] = "v".into());
    assert!(found[0].starts_with("spec.workloadRef: Forbidden: field is immutable"), "{found:?}");
    let found =
        changed(Kind::Assignment, &assignment(), |a| a["spec"]["workloadRef"]["generation"] = 2.into());
    assert!(found.is_empty(), "{found:?}");
    let mut other = assignment();
    other["spec"]["workloadRef"]["kind"] = "Service".into();
    assert!(
        refusals(Kind::Assignment, other)[0].starts_with("spec.workloadRef.kind: Invalid value: \"Service\"")
    );
}

#[test]
fn a_run_s_spec_stays_and_nothing_succeeds_without_an_exit_code() {
    for member in ["nodeName", "assignmentRef"] {
        let found = changed(Kind::Run, &run(), |r| r["spec"][member] = "m".into());
        assert!(found[0].starts_with(&format!("spec.{member}: Forbidden: field is immutable")), "{found:?}");
    }
    assert_eq!(changed(Kind::Run, &run(), |r| r["spec"]["attempt"] = 2.into()).len(), 1);
    for (status, good) in [
        (json!({"phase": "Succeeded", "exitCode": 0}), true),
        (json!({"phase": "Succeeded"}), false),
        (json!({"phase": "Succeeded", "exitCode": 1}), false),
        (json!({"phase": "Lost"}), true),
    ] {
        let found = changed(Kind::Run, &run(), |r| r["status"] = status.clone());
        assert_eq!(found.is_empty(), good, "{status}: {found:?}");
    }
}

#[test]
fn what_is_immutable_stays_and_other_metadata_may_change() {
    for kind in [Kind::Secret, Kind::ConfigMap] {
        let held = json!({"metadata": {"name": "s"}, "data": {"a": "Yg=="}, "immutable": true});
        let found = changed(kind, &held, |s| s["data"]["a"] = "Yw==".into());
        assert_eq!(found, ["data: Forbidden: field is immutable when `immutable` is set"]);
        let found = changed(kind, &held, |s| s["immutable"] = false.into());
        assert_eq!(found, ["immutable: Forbidden: cannot be taken back"]);
        assert!(changed(kind, &held, |s| s["metadata"]["labels"] = json!({"a": "b"})).is_empty());
    }
    let held = json!({"metadata": {"name": "s"}, "type": "Opaque"});
    assert!(changed(Kind::Secret, &held, |s| s["type"] = "x".into())[0].starts_with("type: Forbidden"));
}

#[test]
fn a_mebibyte_of_data_fits_and_no_byte_more() {
    let held = |bytes: usize| json!({"metadata": {"name": "c"}, "data": {"a": "x".repeat(bytes)}});
    admit(Kind::ConfigMap, held(1 << 20), None).unwrap();
    assert!(refusals(Kind::ConfigMap, held((1 << 20) + 1))[0].starts_with("data: Too long: 1048577 bytes"));
    let text = |bytes: usize| json!({"metadata": {"name": "s"}, "stringData": {"a": "x".repeat(bytes)}});
    admit(Kind::Secret, text(1 << 20), None).unwrap();
    assert!(refusals(Kind::Secret, text((1 << 20) + 1))[0].starts_with("data: Too long: 1048577 bytes"));
}

#[test]
fn a_namespace_is_never_given_a_name_it_cannot_have() {
    let named = |kind: Kind, meta: Value| refusals(kind, json!({"metadata": meta}));
    assert!(
        named(Kind::Namespace, json!({"generateName": "a.b-"}))[0]
            .starts_with("metadata.generateName: Invalid")
    );
    assert!(named(Kind::Namespace, json!({"name": "a.b"}))[0].starts_with("metadata.name: Invalid"));
    for bad in ["", "..", "../a", "a/b", "A", "a_b", "-a", "a-", "a\u{0}", "ä", &"a".repeat(254)] {
        assert_eq!(named(Kind::Secret, json!({"name": bad})).len(), 1, "{bad:?}");
    }
}

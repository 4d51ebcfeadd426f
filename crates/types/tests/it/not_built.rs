//! What the design names and this build lacks is refused as such, wherever it stands.

use drover_types::{Kind, admit};
use serde_json::{Value, json};

use crate::refusals;

/// Members of a template that are not built.
const TEMPLATE: [&str; 17] = [
    "output.format",
    "output.sharedVar",
    "output.publish",
    "output.submit",
    "onSuccess",
    "onFailure",
    "onFinish",
    "nodeOffline",
    "resources",
    "sandbox",
    "process.files",
    "process.reloadSignal",
    "process.tty",
    "process.stdin.sharedVar",
    "process.stdin.message",
    "process.env[0].valueFrom.sharedVarKeyRef",
    "process.envFrom[0].sharedVarRef",
];

/// The same for the spec of each workload.
const SPEC: [(Kind, &str, &[&str]); 3] = [
    (Kind::Timer, "timer", &["budget", "blackout"]),
    (Kind::Task, "task", &["triggers", "rollout", "params[0].pattern", "params[0].secret"]),
    (
        Kind::Service,
        "service",
        &[
            "update",
            "sockets",
            "watchFiles",
            "after",
            "requires",
            "subscriptions",
            "runWhile",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ],
    ),
];

fn put(object: &mut Value, path: &str) {
    let mut at = object;
    for word in path.split('.') {
        let (name, list) = word.strip_suffix("[0]").map_or((word, false), |name| (name, true));
        at = &mut at[name];
        if list {
            if !at.is_array() {
                *at = json!([{"name": "A"}]);
            }
            at = &mut at[0];
        }
    }
    *at = json!({"name": "x"});
}

fn spec(kind: Kind) -> Value {
    let mut spec = json!({"template": {"process": {"command": ["true"]}}});
    if kind == Kind::Timer {
        spec["every"] = "1m".into();
    }
    spec
}

#[test]
fn a_field_of_the_design_is_refused_by_name_in_a_workload_and_in_its_assignment() {
    for (kind, member, own) in SPEC {
        let in_template = TEMPLATE.iter().map(|path| format!("template.{path}"));
        for path in own.iter().map(|path| (*path).to_owned()).chain(in_template) {
            let mut object = json!({"metadata": {"name": "a"}, "spec": spec(kind)});
            put(&mut object["spec"], &path);
            let found = refusals(kind, object.clone());
            let want = format!("spec.{path}: Forbidden: not built yet: it comes with ");
            assert!(found.iter().any(|error| error.starts_with(&want)), "{kind:?} {path}: {found:?}");

            let assignment = json!({"metadata": {"name": "a"}, "spec": {
                "nodeName": "n", "workloadRef": {"kind": kind.names().kind, "name": "a"}, member: object["spec"]}});
            let found = refusals(Kind::Assignment, assignment);
            let want = format!("spec.{member}.{path}: Forbidden: not built yet: it comes with ");
            assert!(found.iter().any(|error| error.starts_with(&want)), "{member} {path}: {found:?}");
        }
    }
    for path in ["blackout", "agent", "limits"] {
        let found = refusals(Kind::NodePool, json!({"metadata": {"name": "a"}, "spec": {path: {}}}));
        assert!(found[0].starts_with(&format!("spec.{path}: Forbidden: not built yet")), "{found:?}");
    }
}

#[test]
fn an_assignment_as_the_reconciler_writes_it_is_good() {
    for (kind, member, _) in SPEC {
        let assignment = json!({"metadata": {"name": "a"}, "spec": {
            "nodeName": "n", "workloadRef": {"kind": kind.names().kind, "name": "a"}, member: spec(kind)}});
        let admitted = admit(Kind::Assignment, assignment, None).unwrap();
        assert!(admitted.unknown_fields.is_empty(), "{:?}", admitted.unknown_fields);
    }
}

#[test]
fn a_value_of_the_design_is_refused_by_name_too() {
    let timer =
        |process: Value| json!({"metadata": {"name": "a"}, "spec": {"every": "1m", "template": process}});
    for (template, want) in [
        (
            json!({"process": {"command": ["a"]}, "mutex": ["fleet"]}),
            "spec.template.mutex[0]: Forbidden: not built yet: it comes with the node agent in depth; a key that \
             contains $(NODE_NAME) is held on the node",
        ),
        (
            json!({"process": {"command": ["a"], "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}}]}}),
            "spec.template.process.env[0].valueFrom.fieldRef.fieldPath: Forbidden: not built yet",
        ),
    ] {
        let found = refusals(Kind::Timer, timer(template));
        assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
    }
}

#[test]
fn a_kind_of_the_design_that_is_not_served_says_what_brings_it() {
    for (version, kind) in [
        ("drover.dev/v1", "Channel"),
        ("drover.dev/v1", "SharedVar"),
        ("drover.dev/v1", "Gateway"),
        ("drover.dev/v1", "GitSource"),
        ("v1", "Pod"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ] {
        assert!(drover_types::not_built_kind(version, kind).is_some(), "{version} {kind}");
    }
    assert_eq!(drover_types::not_built_kind("v1", "Channel"), None);
    assert_eq!(drover_types::not_built_kind("v1", "Service"), None, "core services are never served");
}

//! The rules of workloads and metadata, and that admission changes nothing the second time.

use drover_types::{Kind, admit};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{refusals, timer};

#[test]
fn every_broken_rule_of_a_workload_is_named_with_its_path() {
    for (spec, want) in [
        (
            json!({"every": null, "cron": "61 * * * *"}),
            r#"spec.cron: Invalid value: "61 * * * *": minute 61 is out of range 0-59"#,
        ),
        (json!({"cron": "@daily"}), "spec.cron: Forbidden: every is set; set only one"),
        (json!({"every": null}), "spec: Required value: set one of every, cron, at and onBoot"),
        (json!({"every": "90"}), "spec.every: Invalid value: \"90\": has no unit; write 90s, 90m or 90h"),
        (json!({"every": "50ms"}), "spec.every: Invalid value: \"50ms\": must be at least 100ms"),
        (json!({"every": null, "cron": "@daily", "timeZone": "Mars/Base"}), "spec.timeZone: Invalid value"),
        (json!({"suspend": "yes"}), "spec.suspend: Invalid value: \"yes\": invalid type"),
        (
            json!({"catchUp": "Maybe"}),
            "spec.catchUp: Unsupported value: \"Maybe\": supported values: \"Skip\", \"Once\", \"All\"",
        ),
        (
            json!({"template": {"process": {"script": "x"}}}),
            "spec.template.process.script: Forbidden: command is set",
        ),
        (json!({"template": {"process": {"command": []}}}), "spec.template.process.command: Required value"),
        (
            json!({"template": {"process": {"workingDir": "x"}}}),
            "spec.template.process.workingDir: Invalid value",
        ),
        (json!({"template": {"process": {"umask": "9"}}}), "spec.template.process.umask: Invalid value"),
        (
            json!({"template": {"process": {"terminationSignal": "TERM"}}}),
            "terminationSignal: Unsupported value",
        ),
        (
            json!({"template": {"process": {"args": ["$(date)"]}}}),
            "spec.template.process.args[0]: Invalid value: \"$(date)\": $(date) is not a name",
        ),
        (
            json!({"template": {"process": {"env": [{"name": "1"}]}}}),
            "spec.template.process.env[0].name: Invalid value",
        ),
        (json!({"template": {"mutex": ["a"]}}), "spec.template.mutex[0]: Forbidden: not built yet"),
        (
            json!({"template": {"output": {"publish": {"channel": "c"}}}}),
            "spec.template.output.publish: Forbidden: not built yet: it comes with messages, variables and gateways",
        ),
        (
            json!({"template": {"process": {"stdin": {"message": true}}}}),
            "process.stdin.message: Forbidden: not built yet",
        ),
        (json!({"budget": {"max": 1}}), "spec.budget: Forbidden: not built yet"),
        (json!({"placement": {"count": 0}}), "spec.placement.count: Invalid value: 0"),
        (json!({"placement": {"failoverAfter": "1m"}}), "spec.placement.failoverAfter: Forbidden"),
        (
            json!({"placement": {"count": 1, "failoverAfter": "5s"}}),
            "spec.placement.failoverAfter: Invalid value",
        ),
        (
            json!({"placement": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            "spec.placement.matchExpressions[0].values: Required value",
        ),
        (json!({"placement": {"nodeSelector": {"-": "x"}}}), "spec.placement.nodeSelector[-]: Invalid value"),
        (json!({"template": null}), "spec.template: Required value"),
    ] {
        let found = refusals(Kind::Timer, timer(&spec));
        assert!(found.iter().any(|e| e.contains(want)), "{spec}: {found:?}");
    }
}

#[test]
fn every_broken_rule_of_metadata_is_named() {
    for (meta, want) in [
        (json!({}), "metadata.name: Required value"),
        (json!({"name": "Upper"}), "metadata.name: Invalid value: \"Upper\""),
        (json!({"name": "a", "namespace": "a.b"}), "metadata.namespace: Invalid value"),
        (json!({"name": "a", "labels": {"a b": "c"}}), "metadata.labels[a b]: Invalid value"),
        (json!({"name": "a", "labels": {"a": 5}}), "metadata.labels[a]: Invalid value: 5: invalid type"),
        (json!({"name": "a", "annotations": {"a": "x".repeat(300_000)}}), "metadata.annotations: Too long"),
        (
            json!({"name": "a", "uid": "u", "ownerReferences": [{"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": "u"}]}),
            "metadata.ownerReferences[0].uid: Invalid value: \"u\": an object cannot own itself",
        ),
        (
            json!({"name": "a", "ownerReferences": [{"kind": "Secret"}]}),
            "metadata.ownerReferences[0].apiVersion: Required value",
        ),
    ] {
        let found = refusals(Kind::Secret, json!({"metadata": meta}));
        assert!(found.iter().any(|e| e.contains(want)), "{meta}: {found:?}");
    }
}

#[test]
fn a_field_nobody_knows_is_listed_and_dropped() {
    let admitted = admit(
        Kind::Timer,
        timer(&json!({"bogus": 1, "template": {"process": {"env": [{"name": "A", "x": 1}]}}})),
        None,
    );
    let admitted = admitted.unwrap();
    assert_eq!(admitted.unknown_fields, ["spec.bogus", "spec.template.process.env[0].x"]);
    assert!(admitted.value["spec"].get("bogus").is_none());
    assert_eq!(admitted.value["spec"]["concurrencyPolicy"], "Forbid");
}

#[test]
fn a_default_is_filled_in_once_and_the_second_time_changes_nothing() {
    let process = json!({"process": {"command": ["true"]}});
    for (kind, spec, want) in [
        (
            Kind::Timer,
            json!({"every": "60s", "template": process}),
            json!({"every": "1m", "catchUp": "Skip"}),
        ),
        (Kind::Timer, json!({"cron": "@daily", "template": process}), json!({"timeZone": "UTC"})),
        (Kind::Task, json!({"template": process}), json!({"mode": "Once"})),
        (Kind::Task, json!({"params": [{"name": "x"}], "template": process}), json!({"mode": "OnDemand"})),
        (Kind::Service, json!({"template": process}), json!({"replicas": 1})),
        (Kind::NodePool, json!({"lanes": {"a": 1}}), json!({"offlineAfter": "1m", "priority": 0})),
    ] {
        let first = admit(kind, json!({"metadata": {"name": "a"}, "spec": spec}), None).unwrap().value;
        for (member, value) in want.as_object().unwrap() {
            assert_eq!(&first["spec"][member], value, "{kind:?} {member}");
        }
        let second = admit(kind, first.clone(), Some(&first)).unwrap();
        assert_eq!((second.value, second.unknown_fields), (first, Vec::new()));
    }
}

#[test]
fn a_secret_s_text_is_folded_and_never_printed() {
    let value = json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}});
    let admitted = admit(Kind::Secret, value, None).unwrap().value;
    assert_eq!(admitted["data"]["a"], "Yg==");
    assert!(admitted.get("stringData").is_none());
    let found = refusals(Kind::Secret, json!({"metadata": {"name": "s"}, "data": {"a": "hunter2!"}}));
    assert!(found[0].contains("data[a]") && !found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn a_once_task_stays_as_it_is_after_it_started() {
    let task = |program: &str, started: bool| {
        let mut task =
            json!({"metadata": {"name": "t"}, "spec": {"template": {"process": {"command": [program]}}}});
        if started {
            task["status"] = json!({"active": 1});
        }
        admit(Kind::Task, task, None).unwrap().value
    };
    assert_eq!(task("a", false)["spec"]["mode"], "Once");
    admit(Kind::Task, task("b", false), Some(&task("a", false))).unwrap();
    admit(Kind::Task, task("a", true), Some(&task("a", true))).unwrap();
    let errors = admit(Kind::Task, task("b", true), Some(&task("a", true))).unwrap_err();
    assert!(errors[0].to_string().starts_with("spec.template: Forbidden: field is immutable"), "{errors:?}");
}

#[test]
fn a_call_s_params_are_read_as_their_types() {
    let task: drover_types::kinds::Task = serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1", "kind": "Task", "metadata": {"name": "t"},
        "spec": {"params": [{"name": "n", "type": "integer", "required": true}, {"name": "s", "default": "x"}],
            "template": {"process": {"command": ["true"]}}}}))
    .unwrap();
    let call =
        |v: Value| drover_types::validate::resolve_params(&task.spec, &serde_json::from_value(v).unwrap());
    assert_eq!(json!(call(json!({"n": "5"})).unwrap()), json!({"n": 5, "s": "x"}));
    assert_eq!(
        call(json!({})).unwrap_err()[0].to_string(),
        "params[n]: Required value: the task requires it"
    );
    assert!(call(json!({"n": 1, "s": "a\u{0}b"})).is_err(), "no process can be given a NUL byte");
    assert!(call(json!({"n": "x"})).is_err() && call(json!({"n": 1, "y": 2})).is_err());
}

#[test]
fn a_kind_of_the_design_that_is_not_built_says_what_brings_it() {
    assert_eq!(
        drover_types::not_built_kind("drover.dev/v1", "Channel"),
        Some("messages, variables and gateways")
    );
    assert_eq!(drover_types::not_built_kind("v1", "Channel"), None);
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("metadata"),
        Just("spec"),
        Just("status"),
        Just("template"),
        Just("process"),
        Just("command"),
        Just("name"),
        Just("every"),
        Just("cron"),
        Just("placement"),
        Just("data"),
        Just("labels"),
        Just("x"),
        Just("params"),
        Just("conditions"),
        Just("taints"),
    ]
    .prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9$()*/ ]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics_and_what_is_admitted_is_admitted_again_unchanged(value in any_json()) {
        for kind in Kind::ALL {
            let mut value = value.clone();
            if let Value::Object(map) = &mut value {
                map.entry("metadata").or_insert_with(|| json!({"name": "a"}));
            }
            if let Ok(first) = admit(kind, value, None) {
                let second = admit(kind, first.value.clone(), Some(&first.value)).unwrap();
                prop_assert_eq!(&second.value, &first.value);
                prop_assert!(second.unknown_fields.is_empty());
            }
        }
    }
}

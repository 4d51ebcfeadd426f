//! Rules of workloads that keep a field from being accepted and then ignored, or from meaning nothing.

use drover_types::{Kind, admit};
use serde_json::{Value, json};

use crate::{refusals, task, timer};

fn process(process: Value) -> Value {
    timer(&json!({"template": {"process": process}}))
}

#[test]
fn what_would_have_no_effect_is_refused() {
    for (object, want) in [
        (timer(&json!({"every": null, "onBoot": true, "splay": "5s"})), "spec.splay: Forbidden"),
        (
            timer(&json!({"every": null, "onBoot": true, "catchUp": "All"})),
            "spec.catchUp: Forbidden: All has no meaning",
        ),
        (timer(&json!({"timeZone": "Europe/Berlin"})), "spec.timeZone: Forbidden"),
        (timer(&json!({"dst": "Wall"})), "spec.dst: Forbidden"),
        (process(json!({"stdin": {}})), "spec.template.process.stdin.text: Required value"),
        (process(json!({"shell": ["/bin/sh"]})), "spec.template.process.shell: Forbidden"),
        (
            process(json!({"env": [{"name": "DROVER_RUN_UID", "value": "x"}]})),
            "spec.template.process.env[0].name: Forbidden: Drover gives every run this variable itself",
        ),
        (
            timer(&json!({"template": {"retry": {"backoff": "10m"}}})),
            "spec.template.retry.backoff: Invalid value",
        ),
        (
            timer(&json!({"template": {"retry": {"on": ["Lost", "Lost"]}}})),
            "spec.template.retry.on[1]: Duplicate",
        ),
    ] {
        let found = refusals(Kind::Timer, object);
        assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
    }
    let found = refusals(Kind::Task, task(&json!({"mode": "Once", "idempotencyKey": "k"})));
    assert!(
        found[0].starts_with("spec.idempotencyKey: Forbidden: only a Task of mode OnDemand"),
        "{found:?}"
    );
}

#[test]
fn a_process_is_given_what_the_kernel_takes() {
    for (value, want) in [
        (json!({"user": "4294967295"}), "user: Invalid value"),
        (json!({"group": "99999999999"}), "group: Invalid value"),
        (json!({"user": "-1"}), "user: Invalid value"),
        (json!({"user": "a\nb"}), "user: Invalid value"),
        (json!({"user": ""}), "user: Invalid value"),
        (json!({"workingDir": "../x"}), "workingDir: Invalid value"),
        (json!({"workingDir": "/a\u{0}b"}), "workingDir: Invalid value"),
        (json!({"workingDir": "/srv/$(x)"}), "workingDir: Invalid value"),
        (json!({"env": [{"name": "A=B"}]}), "env[0].name: Invalid value"),
        (json!({"env": [{"name": "A", "value": "\u{0}"}]}), "env[0].value: Invalid value"),
        (json!({"command": [""]}), "command[0]: Required value"),
        (json!({"command": null, "script": "x", "shell": [""]}), "shell[0]: Required value"),
        (json!({"umask": "1777"}), "umask: Invalid value"),
        (json!({"terminationSignal": "SIGSTOP"}), "terminationSignal: Unsupported value"),
    ] {
        let found = refusals(Kind::Timer, process(value));
        assert!(found.len() == 1 && found[0].contains(want), "{found:?}");
    }
    for good in [
        json!({"user": "www-data", "group": "0"}),
        json!({"user": "1000"}),
        json!({"env": [{"name": "DROVER_X"}]}),
    ] {
        admit(Kind::Timer, process(good), None).unwrap();
    }
}

#[test]
fn placement_speaks_of_labels_that_a_node_may_bear() {
    for (placement, want) in [
        (
            json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x y"]}]}),
            "values[0]: Invalid value",
        ),
        (
            json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["x"]}]}),
            "values: Invalid value",
        ),
        (json!({"tolerations": [{"key": "a", "value": "x y"}]}), "tolerations[0].value: Invalid value"),
        (json!({"tolerations": [{"operator": "Equal"}]}), "tolerations[0].key: Required value"),
        (json!({"nodeName": "../etc"}), "nodeName: Invalid value"),
        (json!({"nodeSelector": {"a/b/c": "x"}}), "nodeSelector[a/b/c]: Invalid value"),
    ] {
        let found = refusals(Kind::Timer, timer(&json!({"placement": placement})));
        assert!(found.len() == 1 && found[0].contains(want), "{found:?}");
    }
}

#[test]
fn a_workload_that_may_move_has_the_time_to_end_first() {
    let moving = |after: &str| {
        timer(&json!({"placement": {"count": 1, "failoverAfter": after},
            "template": {"process": {"terminationGracePeriod": "2m"}}}))
    };
    let found = refusals(Kind::Timer, moving("1m"));
    assert!(
        found[0].starts_with("spec.placement.failoverAfter: Invalid value: \"1m\": must be at least 2m20s")
    );
    admit(Kind::Timer, moving("140s"), None).unwrap();
}

#[test]
fn a_service_never_restarts_without_a_pause() {
    let service = |restart: Value| json!({"metadata": {"name": "s"}, "spec": {"restart": restart, "template": {"process": {"command": ["a"]}}}});
    for (restart, want) in [
        (json!({"backoff": "0s"}), "spec.restart.backoff: Invalid value: \"0s\": must be above 0"),
        (json!({"maxBackoff": "0s"}), "spec.restart.maxBackoff: Invalid value: \"0s\": must be above 0"),
        (
            json!({"backoff": "5m"}),
            "spec.restart.backoff: Invalid value: \"5m\": is above maxBackoff, which is 1m",
        ),
        (json!({"backoff": "5m", "maxBackoff": "1m"}), "spec.restart.maxBackoff: Invalid value"),
    ] {
        let found = refusals(Kind::Service, service(restart));
        assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
    }
}

#[test]
fn a_parameter_that_may_be_absent_stands_in_no_command() {
    let used = |param: Value| {
        task(
            &json!({"mode": "OnDemand", "params": [param], "template": {"process": {"args": ["$(params.x)"]}}}),
        )
    };
    let found = refusals(Kind::Task, used(json!({"name": "x"})));
    let want = "spec.template.process.args[0]: Invalid value: \"$(params.x)\": params.x may be absent; make it \
                required, or give it a default";
    assert_eq!(found, [want]);
    admit(Kind::Task, used(json!({"name": "x", "required": true})), None).unwrap();
    admit(Kind::Task, used(json!({"name": "x", "default": ""})), None).unwrap();
}

#[test]
fn only_a_child_of_mode_once_bears_values_and_they_fit_its_parameters() {
    let params = json!([{"name": "n", "type": "integer", "default": 5}]);
    let found = refusals(Kind::Task, task(&json!({"mode": "Once", "params": params})));
    assert!(
        found.len() == 1
            && found[0].starts_with("spec.mode: Invalid value: \"Once\": a Once Task is called by")
    );
    let child = task(&json!({"mode": "Once", "params": params, "paramValues": {"n": 7}}));
    let child = admit(Kind::Task, child, None).unwrap().value;
    let mut other = child.clone();
    other["spec"]["paramValues"]["n"] = 8.into();
    let errors = admit(Kind::Task, other, Some(&child)).unwrap_err();
    assert!(
        errors[0].to_string().starts_with("spec.paramValues: Forbidden: field is immutable"),
        "{errors:?}"
    );
    let wrong = task(
        &json!({"mode": "Once", "paramValues": {"n": "x"}, "params": [{"name": "n", "type": "integer"}]}),
    );
    assert!(refusals(Kind::Task, wrong)[0].starts_with("spec.paramValues[n]: Invalid value: \"x\": must be"));
}

#[test]
fn a_key_of_calls_is_made_of_their_parameters() {
    let keyed = |key: &str| {
        task(&json!({"mode": "OnDemand", "idempotencyKey": key, "params": [{"name": "x", "required": true}]}))
    };
    admit(Kind::Task, keyed("a/$(params.x)"), None).unwrap();
    for (key, want) in [
        ("$(NODE_NAME)", "$(NODE_NAME) is not known when a call arrives"),
        ("$(node.labels.a)", "$(node.labels.a) is not known when a call arrives"),
        ("$(params.y)", "$(params.y) is not a name"),
        ("", "must have 1 to 1024 bytes"),
    ] {
        let found = refusals(Kind::Task, keyed(key));
        assert!(found.len() == 1 && found[0].contains(want), "{found:?}");
    }
}

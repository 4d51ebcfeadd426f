//! `wait`: until it holds, or says what there is instead.

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::{begin, drover};
use crate::serving::{Api, still};

fn timer(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"every": "5s", "template": {"process": {"command": ["/bin/true"]}}},
    })
}

fn ready(status: &str) -> Value {
    json!({"observedGeneration": 1, "ready": 2, "conditions": [{
        "type": "Ready", "status": status, "reason": "Armed", "message": "on 2 of 3",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]})
}

#[test]
fn a_wait_ends_when_the_condition_comes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    let beat = api.create(Kind::Timer, &timer("beat"));
    let mut wait = begin(at, &["wait", "timer/beat", "--for=condition=Ready", "--timeout=10m"]);
    let beat = api.set_status(Kind::Timer, &beat, ready("False"));
    api.set_status(Kind::Timer, &beat, ready("True"));
    assert_eq!(wait.line(), "timer/beat condition met\n");
    assert_eq!(wait.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_wait_in_vain_says_what_there_is_instead() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    let beat = api.create(Kind::Timer, &timer("beat"));
    api.set_status(Kind::Timer, &beat, ready("False"));
    for (until, instead) in [
        ("--for=condition=Ready", "Ready=False (Armed: on 2 of 3)"),
        ("--for=delete", "it exists, and nobody has deleted it"),
        ("--for=jsonpath={.status.ready}=3", "it is \"2\""),
    ] {
        let said = drover(at, &["wait", "timer", "beat", until, "--timeout=0"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{until}");
        assert_eq!(said.stderr, format!("error: timed out after 0s waiting for timer/beat: {instead}\n"));
    }
    let said = drover(at, &["wait", "timer/none", "--for=create", "--timeout=0"]);
    assert!(said.stderr.contains("timer/none: it does not exist"), "{}", said.stderr);
}

#[test]
fn several_objects_are_waited_for_until_all_hold() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    let (a, b) = (api.create(Kind::Timer, &timer("a")), api.create(Kind::Timer, &timer("b")));
    api.set_status(Kind::Timer, &b, ready("True"));
    let mut wait =
        begin(at, &["wait", "timers", "-l", "app=x", "--for=condition=ready=true", "--timeout=10m"]);
    assert_eq!(wait.line(), "timer/b condition met\n");
    api.set_status(Kind::Timer, &a, ready("True"));
    assert_eq!(wait.line(), "timer/a condition met\n");
    assert_eq!(wait.child.wait().unwrap().code(), Some(0));
    assert_eq!(drover(at, &["delete", "timers", "--all"]).code, Some(0));
    let said = drover(at, &["wait", "timer/a", "timer/b", "--for=delete"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "timer/a deleted\ntimer/b deleted\n"));
}

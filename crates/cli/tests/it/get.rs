//! `get` and `events` against a real server.

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::drover;
use crate::serving::{Api, still};

/// The cells of a table, by runs of three spaces.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

fn timer(name: &str) -> Value {
    json!({
        "apiVersion": "drover.dev/v1", "kind": "Timer", "metadata": {"name": name, "labels": {"n": name}},
        "spec": {"every": "5s", "template": {"process": {"command": ["/bin/true"]}}},
    })
}

fn run(name: &str, node: &str, phase: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"nodeName": node, "workloadRef": {"kind": "Timer", "name": "beat"}, "attempt": 1},
        "status": {
            "phase": phase, "exitCode": 3, "reason": "ExitCode",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:02.500Z",
        },
    })
}

#[test]
fn a_table_shows_what_the_status_counts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    let mut beat = timer("beat");
    beat["status"] = json!({"observedGeneration": 1, "desired": 3, "ready": 2, "failing": 1, "active": 0,
        "conditions": []});
    api.create(Kind::Timer, &beat);
    api.create(Kind::Run, &run("beat-1", "a", "Failed"));
    let said = drover(at, &["get", "timers"]);
    let table = cells(&said.stdout);
    assert_eq!(table[0], ["NAME", "SCHEDULE", "SUSPEND", "NODES", "FAILING", "LAST", "NEXT", "AGE"]);
    assert_eq!(table[1][..7], ["beat", "every 5s", "false", "2/3", "1", "<none>", "<none>"]);

    let said = drover(at, &["get", "runs", "--no-headers"]);
    let row = &cells(&said.stdout)[0];
    assert_eq!((&row[..4], &row[5..]), (&["beat-1", "a", "Failed", "3"][..], &["2.5s", "ExitCode"][..]));

    let said = drover(at, &["get", "all", "-A"]);
    assert!(said.stdout.contains("timer/beat") && said.stdout.contains("run/beat-1"), "{}", said.stdout);
    assert!(said.stdout.starts_with("NAMESPACE   NAME"), "{}", said.stdout);
}

#[test]
fn data_is_printed_in_every_format_that_kubectl_has() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    for name in ["b", "a"] {
        api.create(Kind::Timer, &timer(name));
    }
    let get = |args: &[&str]| {
        let said = drover(at, &[&["get"], args].concat());
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
        said.stdout
    };
    assert_eq!(get(&["timer/a", "-o", "jsonpath={.metadata.name} {.spec.every}"]), "a 5s");
    assert_eq!(get(&["timers", "-o", "jsonpath={.items[?(@.metadata.name==\"b\")].spec.every}"]), "5s");
    assert_eq!(
        get(&["timers", "-o", "custom-columns=N:.metadata.name,X:.spec.cron"]),
        "N   X\na   <none>\nb   <none>\n"
    );
    assert_eq!(get(&["timers", "-o", "name"]), "timer/a\ntimer/b\n");
    assert_eq!(
        get(&["timers", "-o", "name", "--sort-by", ".metadata.resourceVersion"]),
        "timer/b\ntimer/a\n"
    );
    assert_eq!(get(&["timers", "-o", "name", "-l", "n in (b)"]), "timer/b\n");
    assert_eq!(get(&["timers", "-o", "name", "--field-selector", "metadata.name!=b"]), "timer/a\n");
    let list: Value = serde_json::from_str(&get(&["timer", "a", "b", "-o", "json"])).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("List"), 2));
    let one: Value = serde_json::from_str(&get(&["timer", "a", "-o", "json"])).unwrap();
    assert_eq!(one["kind"], "Timer");
    assert!(get(&["timer", "a", "-o", "yaml"]).starts_with("apiVersion: drover.dev/v1\nkind: Timer\n"));
    assert_eq!(get(&["timer", "z", "--ignore-not-found", "-o", "json"]), "");
}

#[test]
fn what_is_there_is_printed_and_what_is_not_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    Api::new(at).create(Kind::Timer, &timer("a"));
    let said = drover(at, &["get", "timer", "x", "a", "y", "-o", "name"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), "timer/a\n"));
    assert_eq!(
        said.stderr,
        "error: timers.drover.dev \"x\" not found\nerror: timers.drover.dev \"y\" not found\n"
    );
    let said = drover(at, &["get", "timer", "x", "-o", "json"]);
    let error: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, &error["code"], &error["reason"]), (Some(1), &json!(404), &json!("NotFound")));
    let said = drover(at, &["get", "tasks"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
    assert_eq!(said.stderr, "no tasks found in namespace default\n");
}

#[test]
fn a_secret_is_listed_without_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    Api::new(at).create(Kind::Secret, &json!({"metadata": {"name": "s"}, "stringData": {"k": "hunter2"}}));
    for args in [&["get", "secrets", "-o", "wide"][..], &["describe", "secret", "s"]] {
        let said = drover(at, args);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert!(!said.stdout.contains("hunter2") && !said.stdout.contains("aHVudGVyMg"), "{}", said.stdout);
    }
}

#[test]
fn events_come_in_the_order_in_which_they_happened() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    for (name, about, minute) in [("e1", "beat", 5), ("e2", "beat", 3), ("e3", "other", 4)] {
        api.create(
            Kind::Event,
            &json!({
                "metadata": {"name": name}, "involvedObject": {"kind": "Timer", "name": about, "namespace": "default"},
                "reason": name, "message": "m", "type": "Normal", "count": 1, "source": {},
                "lastTimestamp": format!("2026-01-01T00:0{minute}:00Z"),
            }),
        );
    }
    let reasons = |args: &[&str]| {
        let said =
            drover(at, &[&["events", "-o", "custom-columns=R:.reason", "--no-headers"], args].concat());
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        said.stdout
    };
    assert_eq!(reasons(&[]), "e2\ne3\ne1\n");
    assert_eq!(reasons(&["--for", "timer/beat"]), "e2\ne1\n");
    assert_eq!(reasons(&["--for", "timer/none"]), "");
}

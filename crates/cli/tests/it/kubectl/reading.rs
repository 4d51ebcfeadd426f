//! Discovery, get, describe, explain and questions of access.

use serde_json::Value;

use super::found::{Kubectl, all};
use crate::serving::{Api, Served, serve};

const TIMERS: &str = "\
apiVersion: drover.dev/v1
kind: Timer
metadata: {name: beat, labels: {tier: web}}
spec: {every: 5m, template: {process: {command: [/bin/true]}}}
---
apiVersion: drover.dev/v1
kind: Timer
metadata: {name: night, labels: {tier: db}}
spec: {cron: 0 3 * * *, suspend: true, template: {process: {command: [/bin/true]}}}
";

fn with_timers(test: impl Fn(&Kubectl)) {
    let folder = tempfile::tempdir().unwrap();
    let _server: Served = serve(folder.path());
    std::fs::write(folder.path().join("timers.yaml"), TIMERS).unwrap();
    let said = crate::drover::drover(folder.path(), &["apply", "-f", "timers.yaml"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for kubectl in all(folder.path()) {
        test(&kubectl);
    }
}

/// The words of each line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn every_kubectl_finds_every_kind_by_each_of_its_names() {
    with_timers(|kubectl| {
        let resources = kubectl.says(&["api-resources", "-o", "name"]);
        for name in ["timers.drover.dev", "services.drover.dev", "leases.coordination.k8s.io", "nodes"] {
            assert!(resources.lines().any(|line| line == name), "1.{}: {resources}", kubectl.minor);
        }
        for word in ["timers", "timer", "tm", "Timer", "timers.drover.dev", "timers.v1.drover.dev"] {
            let said = kubectl.says(&["get", word, "-o", "name"]);
            assert_eq!(said, "timer.drover.dev/beat\ntimer.drover.dev/night\n", "{word}");
        }
        assert!(kubectl.says(&["get", "all"]).contains("timer.drover.dev/beat"));
        assert!(kubectl.says(&["version", "-o", "json"]).contains("+drover."));
        assert_eq!(kubectl.says(&["get", "--raw", "/readyz"]), "ok");
    });
}

#[test]
fn every_kubectl_shows_the_servers_columns() {
    with_timers(|kubectl| {
        let table = kubectl.says(&["get", "timers"]);
        let rows = words(&table);
        assert_eq!(rows[0], ["NAME", "SCHEDULE", "SUSPEND", "NODES", "FAILING", "LAST", "NEXT", "AGE"]);
        assert_eq!(rows[1][..4], ["beat", "every", "5m", "false"]);
        let wide = kubectl.says(&["get", "timers", "-o", "wide"]);
        assert!(words(&wide)[0].ends_with(&["ACTIVE", "PLACEMENT", "COMMAND"]), "{wide}");
        let one = kubectl.says(&["get", "timer", "night", "--no-headers"]);
        assert_eq!(words(&one)[0][0], "night");
        let everywhere = kubectl.says(&["get", "timers", "-A"]);
        assert_eq!(words(&everywhere)[1][..2], ["default", "beat"]);
        let labels = kubectl.says(&["get", "timers", "--show-labels", "-L", "tier"]);
        assert!(labels.contains("tier=web") && words(&labels)[0].contains(&"TIER"), "{labels}");
        let sorted = kubectl.says(&["get", "timers", "--sort-by=.spec.every", "-o", "name"]);
        assert_eq!(sorted.lines().count(), 2);
    });
}

#[test]
fn every_kubectl_selects_and_prints_as_it_is_told() {
    with_timers(|kubectl| {
        assert_eq!(kubectl.says(&["get", "tm", "-l", "tier=db", "-o", "name"]), "timer.drover.dev/night\n");
        let by_field = ["get", "tm", "--field-selector", "metadata.name=beat", "-o", "name"];
        assert_eq!(kubectl.says(&by_field), "timer.drover.dev/beat\n");
        let json: Value = serde_json::from_str(&kubectl.says(&["get", "tm", "-o", "json"])).unwrap();
        assert_eq!((&json["kind"], json["items"].as_array().unwrap().len()), (&"List".into(), 2));
        let path = ["get", "timer", "beat", "-o", "jsonpath={.spec.every}"];
        assert_eq!(kubectl.says(&path), "5m");
        let columns = ["get", "tm", "--no-headers", "-o", "custom-columns=N:.metadata.name,E:.spec.every"];
        assert_eq!(words(&kubectl.says(&columns))[0], ["beat", "5m"]);
        assert!(kubectl.says(&["get", "timer", "beat", "-o", "yaml"]).contains("every: 5m"));
        let chunks = kubectl.says(&["get", "timers", "--chunk-size=1", "-o", "name"]);
        assert_eq!(chunks.lines().count(), 2);
        let absent = kubectl.run(&["get", "timer", "nobody"]);
        assert_eq!(absent.code, Some(1));
        let expected = "Error from server (NotFound): timers.drover.dev \"nobody\" not found\n";
        assert_eq!(absent.stderr, expected);
        assert_eq!(kubectl.says(&["get", "timer", "nobody", "--ignore-not-found"]), "");
        let refused = kubectl.run(&["get", "tm", "--field-selector", "spec.every=5m"]);
        assert!(refused.stderr.contains("field label not supported"), "{}", refused.stderr);
    });
}

#[test]
fn every_kubectl_describes_an_object_with_its_events() {
    with_timers(|kubectl| {
        let text = kubectl.says(&["describe", "timer", "night"]);
        assert!(text.contains("Name:         night") && text.contains("Cron:"), "{text}");
        assert!(text.contains("Events:"), "{text}");
        assert!(kubectl.says(&["describe", "ns", "default"]).contains("Status:       Active"));
    });
}

#[test]
fn every_kubectl_explains_fields_that_it_can_look_up() {
    with_timers(|kubectl| {
        // Before 1.27 it read definitions of OpenAPI 2.0 in protobuf only, of which there are none.
        if kubectl.minor < 27 {
            let refused = kubectl.run(&["explain", "timer.spec"]);
            assert_eq!(refused.code, Some(1), "{}", refused.stdout);
            return;
        }
        let text = kubectl.says(&["explain", "timer.spec.template", "--recursive"]);
        for field in ["process", "command", "env", "retry"] {
            assert!(
                text.lines().any(|line| line.split_whitespace().next() == Some(field)),
                "{field}: {text}"
            );
        }
        let policy = kubectl.says(&["explain", "timer.spec.concurrencyPolicy"]);
        assert!(policy.contains("`Replace`: Ends it and takes its place."), "{policy}");
        let wrong = kubectl.run(&["explain", "timer.spec.bogus"]);
        assert!(wrong.stderr.contains("field \"bogus\" does not exist"), "{}", wrong.stderr);
    });
}

#[test]
fn every_kubectl_is_told_what_its_user_may_do() {
    with_timers(|kubectl| {
        assert_eq!(kubectl.says(&["auth", "can-i", "delete", "timers"]).trim(), "yes");
        assert!(kubectl.says(&["auth", "can-i", "--list"]).contains("*.*"));
        // 1.27 asks a version of the API that was never final.
        if kubectl.minor >= 28 {
            let who = kubectl.says(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.groups[0]}"]);
            assert_eq!(who, "drover:admins");
        }
    });
}

#[test]
fn every_kubectl_watches_as_tables_and_stops_when_told() {
    with_timers(|kubectl| {
        let said = kubectl.run(&["get", "timers", "-w", "--request-timeout=2s"]);
        let rows = words(&said.stdout);
        assert_eq!(rows[0][0], "NAME", "{}", said.stderr);
        assert!(rows.iter().any(|row| row[0] == "beat") && rows.iter().any(|row| row[0] == "night"));
    });
}

#[test]
fn every_kubectl_waits_for_a_condition() {
    let folder = tempfile::tempdir().unwrap();
    let still = crate::serving::still(folder.path());
    let api = Api::new(folder.path());
    let timer = serde_json::json!({
        "apiVersion": "drover.dev/v1", "kind": "Timer", "metadata": {"name": "beat"},
        "spec": {"every": "5m", "template": {"process": {"command": ["/bin/true"]}}},
        "status": {"observedGeneration": 1, "conditions": [{
            "type": "Ready", "status": "True", "reason": "Armed", "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }]},
    });
    api.create(drover_types::Kind::Timer, &timer);
    for kubectl in all(folder.path()) {
        let said = kubectl.says(&["wait", "--for=condition=Ready", "timer/beat", "--timeout=60s"]);
        assert_eq!(said, "timer.drover.dev/beat condition met\n");
        let late = kubectl.run(&["wait", "--for=condition=Stalled", "timer/beat", "--timeout=1s"]);
        assert_eq!(late.code, Some(1), "{}", late.stdout);
        assert!(late.stderr.contains("timed out waiting"), "{}", late.stderr);
    }
    drop(still);
}

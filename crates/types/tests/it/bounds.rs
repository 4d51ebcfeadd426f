//! Hostile sizes: lists, numbers, texts. Each is refused by a short answer.

use drover_types::{Kind, admit};
use serde_json::{Value, json};

use crate::{many, refusals, task, timer};

#[test]
fn a_list_beyond_need_is_refused_as_a_whole() {
    let requirement = json!({"key": "a", "operator": "Exists"});
    for (spec, want) in [
        (
            json!({"template": {"process": {"args": many(&json!("$(x)"), 100_000)}}}),
            "spec.template.process.args",
        ),
        (
            json!({"template": {"process": {"env": many(&json!({"name": "="}), 50_000)}}}),
            "spec.template.process.env",
        ),
        (json!({"template": {"mutex": many(&json!("x"), 100_000)}}), "spec.template.mutex"),
        (json!({"template": {"retry": {"on": many(&json!("Lost"), 100_000)}}}), "spec.template.retry.on"),
        (
            json!({"placement": {"matchExpressions": many(&requirement, 10_000)}}),
            "spec.placement.matchExpressions",
        ),
        (json!({"placement": {"tolerations": many(&json!({}), 10_000)}}), "spec.placement.tolerations"),
    ] {
        let found = refusals(Kind::Timer, timer(&spec));
        assert!(found.len() == 1 && found[0].starts_with(&format!("{want}: Too long: ")), "{found:?}");
    }
    let params = many(&json!({"name": "x"}), 10_000);
    assert!(refusals(Kind::Task, task(&json!({"params": params})))[0].starts_with("spec.params: Too long"));
    let taints = many(&json!({"key": "a", "effect": "NoSchedule"}), 10_000);
    let node = json!({"metadata": {"name": "n"}, "spec": {"taints": taints}});
    assert!(refusals(Kind::Node, node)[0].starts_with("spec.taints: Too long"));
    let labels: serde_json::Map<_, _> = (0..100_000).map(|i| (format!("a b{i}"), json!("x"))).collect();
    let map = json!({"metadata": {"name": "n", "labels": labels}});
    assert!(refusals(Kind::ConfigMap, map)[0].starts_with("metadata.labels: Too long"));
}

#[test]
fn so_many_errors_are_told_and_the_rest_is_counted() {
    let env = many(&json!({"name": "="}), 1000);
    let found = refusals(Kind::Timer, timer(&json!({"template": {"process": {"env": env}}})));
    assert_eq!(found.len(), 51);
    assert_eq!(found[50], "Too long: 950 more errors are not shown");
    let unknown: serde_json::Map<_, _> = (0..10_000).map(|i| (format!("x{i}"), json!(1))).collect();
    let admitted = admit(Kind::Timer, timer(&Value::Object(unknown)), None).unwrap();
    assert_eq!(admitted.unknown_fields.len(), 100);
}

#[test]
fn a_value_of_megabytes_is_not_sent_back() {
    let huge = "x\0".repeat(1 << 20);
    for spec in [
        json!({"template": {"process": {"command": [huge.as_str()]}}}),
        json!({"every": huge.as_str()}),
        json!({"every": null, "cron": huge.as_str()}),
        json!({"template": {"process": {"args": [format!("$({huge})")]}}}),
        json!({"placement": {"nodeSelector": {huge.as_str(): "x"}}}),
        json!({"template": {"process": {"script": {"a": huge.as_str()}, "command": null}}}),
    ] {
        let found = refusals(Kind::Timer, timer(&spec));
        assert!(found.iter().all(|error| error.len() < 2000), "{} errors", found.len());
    }
}

#[test]
fn numbers_beyond_every_use_are_refused_and_overflow_nothing() {
    for (spec, want) in [
        (json!({"every": "10000000y"}), "is not a duration"),
        (json!({"every": "3650000000d"}), "is longer than 100 years"),
        (json!({"every": "99999999999999999999999d"}), "is longer than 100 years"),
        (json!({"every": "1ns"}), "is not a duration"),
        (json!({"every": "0s"}), "must be at least 100ms"),
        (json!({"every": "1m", "splay": "61s"}), "must not be longer than every"),
        (json!({"every": "40d", "splay": "25h"}), "must be at most 1d"),
        (json!({"every": null, "at": "99999-01-01T00:00:00Z"}), "is not an instant"),
        (json!({"template": {"output": {"maxBytes": "99999999999Ti"}}}), "is not a size"),
        (json!({"template": {"output": {"maxBytes": 18_446_744_073_709_551_615_u64}}}), "from 4Ki to 1Gi"),
        (json!({"template": {"retry": {"limit": 101}}}), "at most 100"),
        (json!({"template": {"process": {"terminationGracePeriod": "2h"}}}), "at most 1h"),
        (json!({"successfulRunsHistoryLimit": 5000}), "at most 1000"),
    ] {
        let found = refusals(Kind::Timer, timer(&spec));
        assert!(found.len() == 1 && found[0].contains(want), "{spec}: {found:?}");
    }
}

//! Mistakes of shape: each is told once, in plain words, and one hides no other.

use drover_types::Kind;
use serde_json::{Value, json};

use crate::{refusals, task, timer};

#[test]
fn every_mistake_is_told_at_once_and_each_once() {
    let found = refusals(
        Kind::Timer,
        timer(&json!({
            "every": 90, "cron": null, "suspend": "yes", "budget": {}, "timeZone": "Mars/Base",
            "startingDeadline": "0s", "placement": {"count": "two", "failoverAfter": "1m"},
            "template": {"process": {"command": [1, "x"], "umask": 27}, "lane": "No Lane", "retry": {"on": ["Never"]}},
        })),
    );
    let want = [
        "spec.every: Invalid value: 90: has no unit; write 90s, 90m or 90h",
        "spec.placement.count: Invalid value: \"two\": invalid type: string \"two\", expected a whole number from 0 \
         to 4294967295",
        "spec.suspend: Invalid value: \"yes\": invalid type: string \"yes\", expected a boolean",
        "spec.template.process.command[0]: Invalid value: 1: invalid type: integer `1`, expected a string: quote it",
        "spec.template.process.umask: Invalid value: 27: invalid type: integer `27`, expected a string: quote it",
        "spec.template.retry.on[0]: Unsupported value: \"Never\": supported values: \"Failed\", \"TimedOut\", \
         \"Lost\"",
        "spec.budget: Forbidden: not built yet: it comes with the node agent in depth",
        "spec.startingDeadline: Invalid value: \"0s\": must be above 0; leave it out for no limit",
        "spec.template.lane: Invalid value: \"No Lane\": must be a DNS-1123 label",
    ];
    // What only follows from what could not be read is not told: no schedule, no count, a zone without a cron.
    let mut sorted: Vec<_> = found.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let mut expected = want;
    expected.sort_unstable();
    assert_eq!(sorted, expected);
}

#[test]
fn what_refers_to_something_unreadable_is_not_blamed_for_it() {
    for spec in [
        json!({"params": "x", "template": {"process": {"args": ["$(params.x)"]}}}),
        json!({"params": [{"name": "x", "type": "int", "default": 5}]}),
        json!({"mode": "Twice", "idempotencyKey": "k"}),
        json!({"params": [{"type": "string"}], "template": {"process": {"args": ["$(params.x)"]}}}),
        json!({"template": {"process": {"command": "true"}}}),
        json!({"template": {"process": []}}),
        json!({"template": 5}),
        json!({"placement": {"tolerations": [{"key": 5}]}}),
        json!({"placement": {"matchExpressions": [{"key": "a", "operator": "Is", "values": ["b"]}]}}),
    ] {
        let found = refusals(Kind::Task, task(&spec));
        assert_eq!(found.len(), 1, "{spec}: {found:?}");
    }
}

#[test]
fn a_list_where_a_map_belongs_is_no_map() {
    for (spec, want) in [
        (
            json!({"placement": ["node1"]}),
            "spec.placement: Invalid value: [\"node1\"]: expected a map, this is a list",
        ),
        (json!({"placement": []}), "spec.placement: Invalid value: []: expected a map"),
        (json!({"template": {"process": [["true"]]}}), "spec.template.process: Invalid value"),
        (
            json!({"template": {"process": {"env": [["A", "b"]]}}}),
            "spec.template.process.env[0]: Invalid value",
        ),
    ] {
        let found = refusals(Kind::Timer, timer(&spec));
        assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
    }
    let meta = json!({"metadata": ["7", "name"]});
    assert!(refusals(Kind::ConfigMap, meta)[0].starts_with("metadata: Invalid value"));
}

#[test]
fn an_instant_without_offset_is_told_what_one_looks_like() {
    for at in ["tomorrow", "2026-01-01", "2026-01-01T00:00:00"] {
        let found = refusals(Kind::Timer, timer(&json!({"every": null, "at": at})));
        assert_eq!(
            found,
            [format!(
                "spec.at: Invalid value: {at:?}: is not an instant with its offset, as 2026-11-23T12:00:00Z"
            )]
        );
    }
}

#[test]
fn no_error_shows_what_a_secret_holds() {
    for member in ["data", "stringData"] {
        for value in
            [json!({"a": 48_151_623}), json!(48_151_623), json!([48_151_623]), json!({"a": ["48151623"]})]
        {
            let found = refusals(Kind::Secret, json!({"metadata": {"name": "s"}, member: value}));
            assert!(found[0].starts_with(member), "{found:?}");
            assert!(!found.iter().any(|error| error.contains("48151623")), "{found:?}");
        }
    }
    let found = refusals(Kind::Secret, json!({"metadata": {"name": "s"}, "stringData": {"a b": "hunter2"}}));
    assert_eq!(found, ["stringData[a b]: Invalid value: \"a b\": a key has 1 to 253 of A-Za-z0-9-_."]);
}

#[test]
fn a_float_keeps_its_last_bit() {
    for text in ["0.1", "5e-324", "1.7976931348623157e308", "123456.78901234567", "2.2250738585072011e-308"] {
        let exact: f64 = text.parse().unwrap();
        let read: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read.as_f64().map(f64::to_bits), Some(exact.to_bits()), "{text}");
        let again: f64 = serde_json::from_str(&read.to_string()).unwrap();
        assert_eq!(again.to_bits(), exact.to_bits(), "{text}");
    }
}

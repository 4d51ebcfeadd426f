//! `kubectl events`, and Events under both their groups.

use super::found::with_each;

const EVENTS: &str = "\
apiVersion: v1
kind: Event
metadata: {name: a}
involvedObject: {apiVersion: drover.dev/v1, kind: Timer, name: beat}
reason: Missed
message: two ticks
type: Warning
lastTimestamp: '2096-01-01T00:00:00Z'
---
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: b}
regarding: {apiVersion: drover.dev/v1, kind: Service, name: web}
reason: Scaled
note: up to three
type: Normal
eventTime: '2096-01-01T00:00:00.100000Z'
reportingController: ops.example.com/c
reportingInstance: c-0
action: Scale
";

#[test]
fn every_kubectl_writes_and_reads_events_of_both_groups() {
    with_each(|kubectl| {
        kubectl.write("events.yaml", EVENTS);
        let said = kubectl.says(&["create", "-f", "events.yaml"]);
        assert_eq!(said, "event/a created\nevent.events.k8s.io/b created\n");
        for word in ["events", "ev", "events.events.k8s.io"] {
            let table = kubectl.says(&["get", word]);
            assert!(table.contains("two ticks") && table.contains("up to three"), "{word}: {table}");
        }
        let note = kubectl.says(&["get", "events.events.k8s.io", "a", "-o", "jsonpath={.note} {.eventTime}"]);
        assert_eq!(note, "two ticks 2096-01-01T00:00:00.000000Z");
        assert_eq!(kubectl.says(&["get", "event", "b", "-o", "jsonpath={.message}"]), "up to three");
        let selected = ["get", "events", "--field-selector", "involvedObject.kind=Timer", "-o", "name"];
        assert_eq!(kubectl.says(&selected), "event/a\n");
        kubectl.says(&["annotate", "events.events.k8s.io", "a", "seen=yes"]);
        assert_eq!(
            kubectl.says(&["get", "event", "a", "-o", "jsonpath={.metadata.annotations.seen}"]),
            "yes"
        );
        // A verb of its own since 1.26.
        if kubectl.minor >= 26 {
            let all = kubectl.says(&["events"]);
            assert!(all.contains("two ticks") && all.contains("Service/web"), "{all}");
            let warnings = kubectl.says(&["events", "--types=Warning"]);
            assert!(warnings.contains("Missed") && !warnings.contains("Scaled"), "{warnings}");
        }
        kubectl.says(&["delete", "events.events.k8s.io", "a", "b"]);
        assert_eq!(kubectl.says(&["get", "events", "-o", "name"]), "");
    });
}

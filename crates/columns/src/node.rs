//! Columns of Node and NodePool.

use serde_json::Value;

use crate::ages;
use crate::fields::{NONE, condition, list, number, pairs, ratio, text, text_or_none, time};
use crate::{AGE, Column, NAME, column, wide};

pub(super) const NODE: [Column; 11] = [
    NAME,
    column("STATUS", |object, _| status(object)),
    column("POOL", |object, _| text_or_none(object, "/status/pool")),
    column("VERSION", |object, _| text_or_none(object, "/status/nodeInfo/kubeletVersion")),
    AGE,
    wide("ADDRESS", |object, _| address(object)),
    wide("SESSION", session),
    wide("OS-IMAGE", |object, _| text_or_none(object, "/status/nodeInfo/osImage")),
    wide("KERNEL", |object, _| text_or_none(object, "/status/nodeInfo/kernelVersion")),
    wide("ARCH", |object, _| text_or_none(object, "/status/nodeInfo/architecture")),
    wide("LABELS", |object, _| or_none(pairs(object, "/metadata/labels"))),
];

pub(super) const POOL: [Column; 7] = [
    NAME,
    column("NODES", |object, _| ratio(object, "/status/ready", "/status/nodes")),
    column("PRIORITY", |object, _| number(object, "/spec/priority").unwrap_or(0).to_string()),
    column("OFFLINE-AFTER", |object, _| match text(object, "/spec/offlineAfter") {
        "" => "1m".to_owned(),
        given => given.to_owned(),
    }),
    column("LANES", |object, _| or_none(pairs(object, "/spec/lanes"))),
    AGE,
    wide("SELECTOR", |object, _| or_none(pairs(object, "/spec/nodeSelector"))),
];

fn or_none(words: Vec<String>) -> String {
    if words.is_empty() { NONE.to_owned() } else { words.join(",") }
}

/// As kubectl shows it: Ready or NotReady, and whether it is cordoned.
fn status(object: &Value) -> String {
    let ready = match condition(object, "Ready").map(|held| text(held, "/status")) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    };
    let cordoned = object.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true);
    if cordoned { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn address(object: &Value) -> String {
    let all = list(object, "/status/addresses");
    let of = |type_: &str| all.iter().find(|held| text(held, "/type") == type_);
    let best = of("InternalIP").or_else(|| of("ExternalIP")).or(all.first());
    best.map_or_else(|| NONE.to_owned(), |held| text_or_none(held, "/address"))
}

fn session(object: &Value, now: jiff::Timestamp) -> String {
    let since = ages::since(time(object, "/status/session/changedAt"), now);
    match object.pointer("/status/session/connected").and_then(Value::as_bool) {
        None => NONE.to_owned(),
        Some(true) => format!("up {since}"),
        Some(false) => format!("down {since}"),
    }
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use serde_json::json;

    use crate::tests::check;

    #[test]
    fn a_node_shows_whether_it_may_be_used_and_how_it_is_reached() {
        let node = json!({
            "metadata": {"name": "a", "labels": {"tier": "web"}, "creationTimestamp": "2026-08-01T11:50:00Z"},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown"}], "pool": "web",
                "session": {"connected": false, "changedAt": "2026-08-01T11:57:00Z"},
                "addresses": [{"type": "Hostname", "address": "a"}, {"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "0.1.0", "osImage": "Debian 12", "kernelVersion": "6.1", "architecture": "amd64"},
            },
        });
        check(
            Kind::Node,
            &node,
            &[
                ("NAME", "a"),
                ("STATUS", "NotReady,SchedulingDisabled"),
                ("POOL", "web"),
                ("VERSION", "0.1.0"),
                ("AGE", "10m"),
                ("ADDRESS", "10.0.0.1"),
                ("SESSION", "down 3m"),
                ("OS-IMAGE", "Debian 12"),
                ("KERNEL", "6.1"),
                ("ARCH", "amd64"),
                ("LABELS", "tier=web"),
            ],
        );
        let pool = json!({"metadata": {"name": "p"}, "spec": {"lanes": {"disk": 1}}, "status": {"nodes": 3, "ready": 2}});
        check(
            Kind::NodePool,
            &pool,
            &[
                ("NAME", "p"),
                ("NODES", "2/3"),
                ("PRIORITY", "0"),
                ("OFFLINE-AFTER", "1m"),
                ("LANES", "disk=1"),
                ("AGE", "<none>"),
                ("SELECTOR", "<none>"),
            ],
        );
    }
}

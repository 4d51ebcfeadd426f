//! What brings a bug to light soon: workloads, and what happens to them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scenario::{Act, Deed, Where, Who, Whose, ZONE};
use crate::step::node_name;

const OWN: &str = "/apis/drover.dev/v1/namespaces/default";
/// How many nodes hunts have.
const NODES: usize = 3;
/// The clients' first moment.
const BEGIN: u64 = 6;

fn at(seconds: u64, deed: Deed) -> Act {
    Act { at: Duration::from_secs(seconds), deed }
}

fn make(plural: &str, name: &str, spec: &Value) -> Act {
    let body = json!({"metadata": {"name": name}, "spec": spec});
    at(BEGIN, Deed::Call { method: "POST", path: format!("{OWN}/{plural}"), body })
}

fn process(words: &[&str]) -> Value {
    let command: Vec<&str> = std::iter::once("/bin/sim").chain(words.iter().copied()).collect();
    json!({"process": {"command": command}})
}

/// A Timer that ticks every minute everywhere.
fn timer(name: &str, policy: &str, template: &Value) -> Act {
    make(
        "timers",
        name,
        &json!({"every": "1m", "catchUp": "Once", "concurrencyPolicy": policy, "template": template}),
    )
}

fn crash(seconds: u64, node: usize, after: u64) -> Act {
    let down = Duration::from_secs(1);
    at(seconds, Deed::Crash { who: Who::Node(node), power: false, at_disk: false, after, down })
}

/// Jobs end while the server's disk is full.
pub(super) fn full_server() -> Vec<Act> {
    let full = Deed::Full { whose: Whose::Server, time: Duration::from_secs(200) };
    vec![timer("x-1", "Allow", &process(&["for=5000"])), at(300, full)]
}

/// A Timer is deleted while all that follow it are there.
pub(super) fn deleted_timer() -> Vec<Act> {
    let delete = Deed::Call { method: "DELETE", path: format!("{OWN}/timers/x-1"), body: Value::Null };
    vec![timer("x-1", "Allow", &process(&["for=5000"])), at(300, delete)]
}

/// What is wanted on one node has to leave one node after the other, and takes its time.
pub(super) fn relabelled_nodes() -> Vec<Act> {
    let placement =
        json!({"count": 1, "matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": ["c"]}]});
    let template = process(&["forever", "ignore-term"]);
    let mut acts = vec![make("services", "x-1", &json!({"placement": placement, "template": template}))];
    for round in 0..4_u64 {
        for node in 0..NODES {
            let begin = 180 + round * 360 + node as u64 * 120;
            for (wait, zone) in [(0, "c"), (60, "a")] {
                let path = format!("/api/v1/nodes/{}", node_name(node));
                let body = json!({"metadata": {"labels": {ZONE: zone}}});
                acts.push(at(begin + wait, Deed::Call { method: "PATCH", path, body }));
            }
        }
    }
    acts
}

/// What may move is on a node of which nothing is heard for longer than it waits.
pub(super) fn silent_nodes() -> Vec<Act> {
    let placement = json!({"count": 1, "failoverAfter": "2m"});
    let template = process(&["forever"]);
    let mut acts = vec![make("services", "x-1", &json!({"placement": placement, "template": template}))];
    for node in 0..NODES {
        let time = Duration::from_secs(480);
        let hold = Deed::Hold { link: Where::Node(node), direction: None, time };
        acts.push(at(300 + node as u64 * 500, hold));
    }
    acts
}

/// Agents crash at each of the first operations after a tick, wherever the minutes of the wall begin.
pub(super) fn crashes_at_ticks() -> Vec<Act> {
    let mut acts =
        vec![timer("x-1", "Allow", &process(&["for=1000"])), timer("x-2", "Allow", &process(&["for=1000"]))];
    for minute in 2..28 {
        for node in 0..NODES {
            let before = if node == 1 { 9 } else { 59 };
            acts.push(crash(minute * 60 + before, node, minute + 26 * u64::from(node == 2)));
        }
    }
    acts
}

/// Each execution fails shortly before the next tick, and is tried again over it.
pub(super) fn retries_over_a_tick() -> Vec<Act> {
    let mut template = process(&["for=50000", "fail=100"]);
    template["retry"] = json!({"limit": 3, "backoff": "1s", "maxBackoff": "1s"});
    vec![timer("x-1", "Forbid", &template)]
}

/// Executions take turns under a mutex, and agents crash while one lives and the next one waits.
pub(super) fn crashes_under_a_mutex() -> Vec<Act> {
    let mut template = process(&["for=40000"]);
    template["mutex"] = json!(["x/$(NODE_NAME)"]);
    let mut acts = vec![timer("x-1", "Forbid", &template), timer("x-2", "Forbid", &template)];
    for minute in 3..12 {
        acts.extend((0..NODES).map(|node| crash(minute * 60 + 20, node, 0)));
    }
    acts
}

/// So much is new to a node that comes back that no single frame holds it.
pub(super) fn large_workloads() -> Vec<Act> {
    let template = process(&["forever", &"x".repeat(120 << 10)]);
    let large = |number| make("services", &format!("x-{number}"), &json!({"template": template}));
    let mut acts: Vec<Act> = (1..=10).map(large).collect();
    for act in &mut acts {
        act.at = Duration::from_secs(110);
    }
    let time = Duration::from_secs(60);
    acts.extend((0..NODES).map(|node| at(100, Deed::Refuse { link: Where::Node(node), time })));
    acts
}

/// A node becomes one that a placement speaks of, and another no longer is, while nothing else happens.
pub(super) fn moved_node() -> Vec<Act> {
    let spec = json!({"placement": {"nodeSelector": {ZONE: "b"}}, "template": process(&["forever"])});
    let mut acts = vec![make("services", "x-1", &spec)];
    for (node, zone) in [(0, "b"), (1, "a")] {
        let path = format!("/api/v1/nodes/{}", node_name(node));
        // The last change that there is.
        acts.push(at(
            1_790,
            Deed::Call { method: "PATCH", path, body: json!({"metadata": {"labels": {ZONE: zone}}}) },
        ));
    }
    acts
}

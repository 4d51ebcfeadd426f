//! Who gets what, as nodes come, go and change.

use drover_plan::fleet::assignment::assignment_name;
use drover_types::Kind;
use serde_json::{Value, json};

use crate::fleet::{Fleet, holds, key, node_key};
use crate::manifests::{service, timer};

#[tokio::test]
async fn every_matching_node_gets_exactly_one_assignment_and_so_does_one_that_joins() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({"dc": "x"})).await;
    fleet.join("b", json!({"dc": "y"})).await;
    fleet.post(Kind::Timer, "default", timer("t", json!({"nodeSelector": {"dc": "x"}}))).await;
    fleet.post(Kind::Service, "default", service("everywhere", Value::Null)).await;
    fleet.until("a has t", |seen| seen.nodes_of("t") == ["a"]).await;
    fleet.until("both have it", |seen| seen.nodes_of("everywhere") == ["a", "b"]).await;
    fleet.join("c", json!({"dc": "x"})).await;
    fleet.until("c has t", |seen| seen.nodes_of("t") == ["a", "c"]).await;
    fleet.until("c has it", |seen| seen.nodes_of("everywhere") == ["a", "b", "c"]).await;
    let held = fleet.seen.of("t");
    assert_eq!(held[0].metadata.finalizers, ["drover.dev/node"]);
    assert_eq!(held[0].metadata.owner_references[0].kind, "Timer");
    assert_eq!(held[0].spec.timer.as_ref().unwrap().placement, None);
    assert_eq!(fleet.seen.most_made(), 1);
}

#[tokio::test]
async fn what_cannot_be_placed_is_told_and_tried_again() {
    let fleet = Fleet::without_reconciler().await;
    let node = fleet.join("a", json!({})).await;
    let owner = fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    let other = fleet.post(Kind::Timer, "default", timer("other", json!({"nodeName": "none"}))).await;
    // Somebody took the name.
    let name = assignment_name(&owner, &node);
    let squatter = json!({
        "metadata": {"name": name, "finalizers": ["a.b/c"]}, "spec": {
            "nodeName": "a", "workloadRef": {"kind": "Timer", "name": "other", "uid": other.uid},
            "timer": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}},
        },
    });
    fleet.post(Kind::Assignment, "default", squatter).await;
    let mut fleet = fleet;
    fleet.start(crate::fleet::options());
    fleet.until("it was told", |seen| seen.told("Timer", "t").iter().any(|e| e.0 == "FailedCreate")).await;
    fleet.ended(&name).await;
    fleet.until("a has t", |seen| seen.nodes_of("t") == ["a"]).await;
}

#[tokio::test]
async fn a_node_that_loses_its_label_loses_it_once_its_agent_has_ended_it() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({"dc": "x"})).await;
    fleet.post(Kind::Timer, "default", timer("t", json!({"nodeSelector": {"dc": "x"}}))).await;
    fleet.until("a has t", |seen| seen.nodes_of("t") == ["a"]).await;
    let name = fleet.seen.on("t", "a").unwrap();
    fleet.patch(Kind::Node, &node_key("a"), json!({"metadata": {"labels": {"dc": null}}})).await;
    fleet.until("it is going", |seen| seen.nodes_of("t").is_empty()).await;
    assert!(fleet.seen.assignments.get(&key(&name)).is_some(), "the agent has not ended it yet");
    // Again while it is going: there is one Assignment at most.
    fleet.patch(Kind::Node, &node_key("a"), json!({"metadata": {"labels": {"dc": "x"}}})).await;
    fleet.ended(&name).await;
    fleet.until("a has a new one", |seen| seen.nodes_of("t") == ["a"]).await;
    assert_eq!(fleet.seen.most_made(), 2);
}

#[tokio::test]
async fn a_cordoned_or_tainted_node_keeps_what_it_has_and_gets_nothing_new() {
    let fleet = Fleet::new().await;
    for name in ["a", "b", "c"] {
        fleet.join(name, json!({})).await;
    }
    fleet.post(Kind::Timer, "default", timer("before", Value::Null)).await;
    fleet.until("all have it", |seen| seen.nodes_of("before").len() == 3).await;
    let taint = json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
    for (name, change) in [("a", json!({"spec": {"unschedulable": true}})), ("b", taint)] {
        let made = fleet.patch(Kind::Node, &node_key(name), change).await;
        fleet
            .until("the reconciler has seen it", |seen| {
                let node = seen.nodes.get(&node_key(name)).unwrap();
                node.status.as_ref().map(|s| s.observed_generation) == made.generation
            })
            .await;
    }
    fleet.post(Kind::Timer, "default", timer("after", Value::Null)).await;
    let tolerating = json!({"tolerations": [{"key": "k", "operator": "Exists"}]});
    fleet.post(Kind::Timer, "default", timer("tolerating", tolerating)).await;
    fleet.until("c has it", |seen| seen.nodes_of("after") == ["c"]).await;
    fleet.until("b and c have it", |seen| seen.nodes_of("tolerating") == ["b", "c"]).await;
    assert_eq!(fleet.seen.nodes_of("before"), ["a", "b", "c"]);
    fleet.patch(Kind::Node, &node_key("a"), json!({"spec": {"unschedulable": null}})).await;
    fleet.until("a has it too", |seen| seen.nodes_of("after") == ["a", "c"]).await;
}

#[tokio::test]
async fn count_is_held_as_nodes_come_and_go() {
    let fleet = Fleet::new().await;
    for name in ["a", "b"] {
        fleet.join(name, json!({})).await;
    }
    fleet.post(Kind::Service, "default", service("s", json!({"count": 3}))).await;
    fleet
        .until("two are there and one is missing", |seen| {
            let status = seen.services.get(&key("s")).and_then(|s| s.status.clone()).unwrap_or_default();
            seen.nodes_of("s").len() == 2 && status.desired == 3 && holds(&status.conditions, "Stalled")
        })
        .await;
    fleet.until("it was told", |seen| seen.told("Service", "s").iter().any(|e| e.0 == "TooFewNodes")).await;
    fleet.join("c", json!({})).await;
    fleet.until("it is three", |seen| seen.nodes_of("s").len() == 3).await;
    fleet.join("d", json!({})).await;
    fleet.ready("d").await;
    fleet.look_at_service("s").await;
    assert_eq!(fleet.seen.nodes_of("s").len(), 3, "a fourth node is none of its business");
    fleet.delete(Kind::Node, &node_key("a"), "Background").await;
    fleet.until("another node took its place", |seen| seen.nodes_of("s") == ["b", "c", "d"]).await;
    fleet.patch(Kind::Service, &key("s"), json!({"spec": {"placement": {"count": 1}}})).await;
    fleet.until("it is one", |seen| seen.nodes_of("s").len() == 1).await;
}

async fn silenced(placement: Value) -> (Fleet, String) {
    let fleet = Fleet::new().await;
    for name in ["a", "b"] {
        fleet.join(name, json!({})).await;
        fleet.ready(name).await;
    }
    fleet.post(Kind::Service, "default", service("s", placement)).await;
    fleet.until("one has it", |seen| seen.nodes_of("s").len() == 1).await;
    let chosen = fleet.seen.nodes_of("s").remove(0);
    let name = fleet.seen.on("s", &chosen).unwrap();
    fleet.report(&name, json!({"ready": 1, "active": 1})).await;
    fleet.run("r", &name, json!({"phase": "Running", "pid": 7})).await;
    fleet.silence(&chosen).await;
    (fleet, chosen)
}

fn is_unreachable(seen: &crate::seen::Seen) -> bool {
    let run = seen.runs.get(&key("r")).unwrap();
    run.status.as_ref().is_some_and(|status| holds(&status.conditions, "NodeUnreachable"))
}

#[tokio::test]
async fn what_may_not_move_waits_for_its_node_for_ever() {
    let (fleet, chosen) = silenced(json!({"count": 1})).await;
    fleet.until("its run says so", is_unreachable).await;
    fleet.forward(1_000_000);
    fleet.look_at_service("s").await;
    assert_eq!(fleet.seen.nodes_of("s"), [chosen.as_str()]);
    fleet.connect(&chosen, true).await;
    fleet.until("its run says it no longer", |seen| !is_unreachable(seen)).await;
    assert_eq!(fleet.seen.lost("r"), None);
}

#[tokio::test]
async fn a_node_that_is_heard_of_again_keeps_what_it_has_however_late_it_is() {
    let (mut fleet, chosen) = silenced(json!({"count": 1, "failoverAfter": "10m"})).await;
    fleet.kill().await;
    fleet.forward(1000);
    fleet.connect(&chosen, true).await;
    fleet.start(crate::fleet::options());
    fleet.look_at_service("s").await;
    fleet.ready(&chosen).await;
    fleet.look_at_service("s").await;
    assert_eq!(fleet.seen.nodes_of("s"), [chosen.as_str()]);
    assert_eq!((fleet.seen.most_made(), fleet.seen.lost("r")), (1, None));
}

#[tokio::test]
async fn what_may_move_moves_only_after_lease_grace_and_margin() {
    let (fleet, chosen) = silenced(json!({"count": 1, "failoverAfter": "10m"})).await;
    // 10 minutes of lease, 10 s of grace by default, 10 s of margin.
    fleet.forward(600);
    fleet.look_at_service("s").await;
    assert_eq!(fleet.seen.nodes_of("s"), [chosen.as_str()]);
    fleet.forward(30);
    fleet.look_at_service("s").await;
    fleet
        .until("it moved", |seen| seen.nodes_of("s").len() == 1 && seen.nodes_of("s") != [chosen.as_str()])
        .await;
    fleet.until("its run is Lost", |seen| seen.lost("r").as_deref() == Some("LeaseOver")).await;
    fleet
        .until("it was told", |seen| seen.told("Service", "s").iter().any(|e| e.0 == "AssignmentMoved"))
        .await;
    let old = fleet.seen.on("s", &chosen).unwrap();
    assert!(fleet.seen.assignments.get(&key(&old)).unwrap().metadata.deletion_timestamp.is_some());
    fleet.connect(&chosen, true).await;
    fleet.ended(&old).await;
    fleet.until("the old one is gone", |seen| seen.on("s", &chosen).is_none()).await;
    fleet.look_at_service("s").await;
    assert_eq!(fleet.seen.nodes_of("s").len(), 1, "it does not move back");
}

#[tokio::test]
async fn status_counts_what_the_nodes_say() {
    let fleet = Fleet::new().await;
    for name in ["a", "b"] {
        fleet.join(name, json!({})).await;
    }
    let made = fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("both have it", |seen| seen.nodes_of("t").len() == 2).await;
    let status = |seen: &crate::seen::Seen| seen.timers.get(&key("t")).unwrap().status.clone().unwrap();
    fleet
        .until("nobody has armed it", |seen| {
            seen.timers
                .get(&key("t"))
                .is_some_and(|t| t.status.as_ref().is_some_and(|s| s.desired == 2 && s.ready == 0))
        })
        .await;
    let (first, last) = ("2030-01-01T00:00:00Z", "2030-01-01T00:05:00Z");
    let on_a =
        json!({"active": 1, "nextScheduleTime": last, "lastScheduleTime": first, "lastPhase": "Succeeded"});
    fleet.report(&fleet.seen.on("t", "a").unwrap(), on_a).await;
    let on_b = json!({"nextScheduleTime": first, "lastPhase": "Failed"});
    fleet.report(&fleet.seen.on("t", "b").unwrap(), on_b).await;
    fleet.until("it is Ready", |seen| holds(&status(seen).conditions, "Ready")).await;
    let now = status(&fleet.seen);
    assert_eq!((now.desired, now.ready, now.failing, now.active), (2, 2, 1, 1));
    assert_eq!(Some(now.observed_generation), made.generation);
    assert_eq!(now.next_schedule_time, Some(first.parse().unwrap()));
    assert_eq!(now.last_schedule_time, Some(first.parse().unwrap()));
    // A new wish reaches the Assignments, and is not Ready before the nodes act on it.
    fleet.patch(Kind::Timer, &key("t"), json!({"spec": {"every": "2h"}})).await;
    fleet
        .until("nobody acts on it yet", |seen| {
            status(seen).ready == 0 && status(seen).observed_generation == 2
        })
        .await;
    fleet
        .until("the Assignments say it", |seen| {
            seen.of("t").iter().all(|a| a.spec.workload_ref.generation == 2)
        })
        .await;
    for node in ["a", "b"] {
        fleet.report(&fleet.seen.on("t", node).unwrap(), json!({})).await;
    }
    fleet.until("it is Ready again", |seen| holds(&status(seen).conditions, "Ready")).await;
}

#[tokio::test]
async fn what_is_settled_is_left_alone() {
    let fleet = Fleet::new().await;
    for name in ["a", "b", "c"] {
        fleet.join(name, json!({})).await;
    }
    fleet.post(Kind::Service, "default", service("s", json!({"count": 2}))).await;
    fleet.until("two have it", |seen| seen.nodes_of("s").len() == 2).await;
    for node in fleet.seen.nodes_of("s") {
        fleet.report(&fleet.seen.on("s", &node).unwrap(), json!({"ready": 1, "active": 1})).await;
    }
    let conditions = |seen: &crate::seen::Seen| {
        seen.services.get(&key("s")).and_then(|s| s.status.clone()).unwrap_or_default().conditions
    };
    fleet.until("it is Ready", |seen| holds(&conditions(seen), "Ready")).await;
    let versions = |seen: &crate::seen::Seen| {
        let service = seen.services.get(&key("s")).unwrap().metadata.resource_version.clone();
        let held = seen.of("s").iter().map(|a| a.metadata.resource_version.clone()).collect::<Vec<_>>();
        (service, held)
    };
    let before = versions(&fleet.seen);
    // A second reconciler looks at everything; the first one is told of another service.
    let mut other = fleet;
    other.kill().await;
    other.start(crate::fleet::options());
    other.post(Kind::Service, "default", service("later", Value::Null)).await;
    other.until("the other is placed", |seen| seen.nodes_of("later").len() == 3).await;
    assert_eq!(versions(&other.seen), before);
}

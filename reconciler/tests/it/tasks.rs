//! Tasks: once on each chosen node, and then no more.

use drover_types::Kind;
use drover_types::kinds::task::TaskStatus;
use serde_json::{Value, json};

use crate::fleet::{Fleet, holds, key};
use crate::manifests::task;
use crate::seen::Seen;

fn status(seen: &Seen, name: &str) -> TaskStatus {
    seen.tasks.get(&key(name)).and_then(|t| t.status.clone()).unwrap_or_default()
}

async fn finish(fleet: &Fleet, task: &str, node: &str, outcome: &str) {
    let now = "2030-01-01T00:00:00Z";
    let status = json!({"outcome": outcome, "startTime": now, "completionTime": now});
    fleet.report(&fleet.seen.on(task, node).unwrap(), status).await;
}

#[tokio::test]
async fn a_once_task_is_complete_only_when_every_chosen_node_finished_and_later_nodes_are_not_added() {
    let fleet = Fleet::new().await;
    for name in ["a", "b"] {
        fleet.join(name, json!({})).await;
    }
    fleet.post(Kind::Task, "default", task("t", Value::Null)).await;
    fleet.until("both have it", |seen| seen.nodes_of("t").len() == 2).await;
    finish(&fleet, "t", "a", "Succeeded").await;
    fleet.until("one is done", |seen| status(seen, "t").succeeded == 1).await;
    assert!(!holds(&status(&fleet.seen, "t").conditions, "Complete"));
    finish(&fleet, "t", "b", "Succeeded").await;
    fleet.until("it is Complete", |seen| holds(&status(seen, "t").conditions, "Complete")).await;
    fleet.until("it was told", |seen| seen.told("Task", "t").iter().any(|e| e.0 == "TaskComplete")).await;
    fleet.join("c", json!({})).await;
    fleet.post(Kind::Task, "default", task("later", Value::Null)).await;
    fleet.until("c is known", |seen| seen.nodes_of("later") == ["a", "b", "c"]).await;
    assert_eq!(fleet.seen.nodes_of("t"), ["a", "b"]);
    let now = status(&fleet.seen, "t");
    assert_eq!((now.desired, now.succeeded, now.failed), (2, 2, 0));
}

#[tokio::test]
async fn one_node_that_failed_fails_the_task_once_all_have_ended() {
    let fleet = Fleet::new().await;
    for name in ["a", "b"] {
        fleet.join(name, json!({})).await;
    }
    fleet.post(Kind::Task, "default", task("t", Value::Null)).await;
    fleet.until("both have it", |seen| seen.nodes_of("t").len() == 2).await;
    finish(&fleet, "t", "a", "Failed").await;
    finish(&fleet, "t", "b", "Succeeded").await;
    fleet.until("it is Failed", |seen| holds(&status(seen, "t").conditions, "Failed")).await;
    fleet.until("it was told", |seen| seen.told("Task", "t").iter().any(|e| e.0 == "TaskFailed")).await;
}

#[tokio::test]
async fn a_task_that_is_called_is_placed_nowhere_itself() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    let mut callable = task("callable", Value::Null);
    callable["spec"]["mode"] = "OnDemand".into();
    fleet.post(Kind::Task, "default", callable).await;
    fleet.until("it is Ready", |seen| holds(&status(seen, "callable").conditions, "Ready")).await;
    assert!(fleet.seen.nodes_of("callable").is_empty());
}

#[tokio::test]
async fn after_its_ttl_a_task_keeps_its_counts_and_a_child_goes() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    let mut parent = task("parent", Value::Null);
    parent["spec"]["mode"] = "OnDemand".into();
    let parent = fleet.post(Kind::Task, "default", parent).await;
    let mut own = task("own", Value::Null);
    own["spec"]["ttlAfterFinished"] = "1h".into();
    let mut child = own.clone();
    child["metadata"] = json!({"name": "child", "ownerReferences": [{
        "apiVersion": "drover.dev/v1", "kind": "Task", "name": "parent", "uid": parent.uid, "controller": true,
    }]});
    for task in [own, child] {
        fleet.post(Kind::Task, "default", task).await;
    }
    for name in ["own", "child"] {
        fleet.until("a has it", |seen| seen.nodes_of(name) == ["a"]).await;
        let on_a = fleet.seen.on(name, "a").unwrap();
        fleet.run(&format!("{name}-run"), &on_a, json!({"phase": "Succeeded", "exitCode": 0})).await;
        let now = fleet.now();
        let done = json!({"outcome": "Succeeded", "startTime": now, "completionTime": now});
        fleet.report(&on_a, done).await;
        fleet.until("it is Complete", |seen| holds(&status(seen, name).conditions, "Complete")).await;
    }
    fleet.forward(3601);
    for name in ["own", "child"] {
        fleet.touch(Kind::Task, &key(name)).await;
    }
    fleet.until("the child goes", |seen| seen.tasks.get(&key("child")).is_none()).await;
    fleet.until("the run goes", |seen| seen.runs.get(&key("own-run")).is_none()).await;
    for name in ["own", "child"] {
        fleet.until("its Assignment is going", |seen| seen.nodes_of(name).is_empty()).await;
        fleet.ended(&fleet.seen.on(name, "a").unwrap()).await;
    }
    fleet.until("all is gone", |seen| seen.assignments.is_empty() && seen.runs.is_empty()).await;
    let left = status(&fleet.seen, "own");
    assert_eq!((left.desired, left.succeeded), (1, 1));
}

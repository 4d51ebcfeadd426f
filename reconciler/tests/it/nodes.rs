//! Nodes and pools: readiness, counts, and what a deleted Node leaves.

use drover_types::{ConditionStatus, Kind};
use serde_json::{Value, json};

use crate::fleet::{Fleet, holds, key, node_key};
use crate::manifests::timer;
use crate::seen::Seen;

fn ready(seen: &Seen, name: &str) -> Option<ConditionStatus> {
    let node = seen.nodes.get(&node_key(name))?;
    let conditions = &node.status.as_ref()?.conditions;
    conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.status)
}

#[tokio::test]
async fn a_node_is_ready_while_it_is_connected_and_unknown_after_offline_after() {
    let fleet = Fleet::new().await;
    fleet.post(Kind::Node, "", json!({"metadata": {"name": "a"}, "spec": {}})).await;
    fleet.until("it was never there", |seen| ready(seen, "a") == Some(ConditionStatus::Unknown)).await;
    fleet.connect("a", true).await;
    fleet.until("it is Ready", |seen| ready(seen, "a") == Some(ConditionStatus::True)).await;
    fleet.silence("a").await;
    assert_eq!(ready(&fleet.seen, "a"), Some(ConditionStatus::Unknown));
    fleet.until("it was told", |seen| seen.told("Node", "a").iter().any(|e| e.0 == "NodeOffline")).await;
    fleet.connect("a", true).await;
    fleet.until("it is Ready again", |seen| seen.is_ready("a")).await;
    fleet
        .until("it was told twice", |seen| {
            seen.told("Node", "a").iter().any(|(reason, _, count)| reason == "NodeReady" && *count == 2)
        })
        .await;
    let told = fleet.seen.events.list();
    assert!(told.iter().all(|(key, event)| {
        key.namespace == "default" && event.source.component == "drover-reconciler" && !event.type_.is_empty()
    }));
}

#[tokio::test]
async fn a_pool_counts_its_nodes_and_sets_when_they_are_offline() {
    let fleet = Fleet::new().await;
    let pool =
        json!({"metadata": {"name": "p"}, "spec": {"nodeSelector": {"dc": "x"}, "offlineAfter": "5m"}});
    fleet.post(Kind::NodePool, "", pool).await;
    fleet.join("a", json!({"dc": "x"})).await;
    fleet.join("b", json!({"dc": "y"})).await;
    let count = |seen: &Seen| {
        let pool = seen.pools.get(&node_key("p"));
        pool.and_then(|p| p.status.clone()).map(|s| (s.nodes, s.ready, holds(&s.conditions, "Ready")))
    };
    fleet.until("it has one", |seen| count(seen) == Some((1, 1, true))).await;
    let named = |seen: &Seen| seen.nodes.get(&node_key("a")).unwrap().status.clone().unwrap().pool;
    fleet.until("it says so", |seen| named(seen).as_deref() == Some("p")).await;
    fleet.patch(Kind::Node, &node_key("b"), json!({"metadata": {"labels": {"dc": "x"}}})).await;
    fleet.until("it has two", |seen| count(seen) == Some((2, 2, true))).await;
    fleet.connect("b", false).await;
    fleet.forward(120);
    fleet.look_at_node("b").await;
    fleet.look_at_node("a").await;
    fleet.until("b is still there", |seen| ready(seen, "b") == Some(ConditionStatus::True)).await;
    fleet.forward(200);
    fleet.look_at_node("b").await;
    fleet.until("it has one that is not there", |seen| count(seen) == Some((2, 1, false))).await;
}

#[tokio::test]
async fn a_deleted_node_makes_its_runs_lost_and_releases_its_assignments() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
    let name = fleet.seen.on("t", "a").unwrap();
    fleet.run("goes-on", &name, json!({"phase": "Running", "pid": 7})).await;
    fleet.run("ended", &name, json!({"phase": "Succeeded", "exitCode": 0})).await;
    fleet.until("the runs are there", |seen| seen.runs.len() == 2).await;
    fleet.delete(Kind::Node, &node_key("a"), "Background").await;
    fleet.until("its run is Lost", |seen| seen.lost("goes-on").as_deref() == Some("NodeDeleted")).await;
    fleet.until("its Assignment is gone", |seen| seen.assignments.get(&key(&name)).is_none()).await;
    fleet.until("its runs went with it", |seen| seen.runs.is_empty()).await;
    assert_eq!(fleet.seen.lost("ended"), None);
}

#[tokio::test]
async fn a_node_that_comes_back_under_its_name_is_another_node() {
    let mut fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
    let first = fleet.seen.on("t", "a").unwrap();
    fleet.run("goes-on", &first, json!({"phase": "Running"})).await;
    // Nobody looks while it happens.
    fleet.kill().await;
    fleet.delete(Kind::Node, &node_key("a"), "Background").await;
    fleet.join("a", json!({})).await;
    fleet.start(crate::fleet::options());
    fleet.until("the first is gone", |seen| seen.assignments.get(&key(&first)).is_none()).await;
    fleet.until("the second is there", |seen| seen.nodes_of("t") == ["a"]).await;
    assert_ne!(fleet.seen.on("t", "a").unwrap(), first);
    fleet.until("its run was Lost", |seen| seen.lost("goes-on").as_deref() == Some("NodeDeleted")).await;
}

#[tokio::test]
async fn a_workload_says_that_a_node_is_out_of_reach_for_as_long_as_it_is() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
    let says = |seen: &Seen| {
        let timer = seen.timers.get(&key("t")).and_then(|timer| timer.status.clone());
        let conditions = timer.map(|status| status.conditions).unwrap_or_default();
        conditions.iter().any(|c| c.type_ == "Ready" && c.message.contains("1 node is unreachable"))
    };
    fleet.silence("a").await;
    fleet.until("it says so", says).await;
    fleet.connect("a", true).await;
    fleet.until("it says so no more", |seen| !says(seen)).await;
}

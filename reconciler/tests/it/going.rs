//! Deletion: what goes with what, and what waits for what.

use drover_client::Key;
use drover_types::Kind;
use serde_json::{Value, json};

use crate::fleet::{Fleet, holds, key, node_key};
use crate::manifests::timer;

/// A node with a Timer and a finished Run of it.
async fn placed() -> (Fleet, String) {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
    let name = fleet.seen.on("t", "a").unwrap();
    fleet.run("r", &name, json!({"phase": "Succeeded", "exitCode": 0})).await;
    fleet.until("the run is there", |seen| seen.runs.get(&key("r")).is_some()).await;
    (fleet, name)
}

#[tokio::test]
async fn a_deleted_timer_takes_assignments_and_runs_with_it_but_waits_for_the_node() {
    let (fleet, name) = placed().await;
    fleet.delete(Kind::Timer, &key("t"), "Background").await;
    fleet.until("it is going", |seen| seen.nodes_of("t").is_empty()).await;
    fleet.until("the Timer itself does not wait", |seen| seen.timers.get(&key("t")).is_none()).await;
    assert!(fleet.seen.assignments.get(&key(&name)).is_some(), "the agent has not ended it yet");
    assert!(fleet.seen.runs.get(&key("r")).is_some());
    fleet.ended(&name).await;
    fleet.until("all is gone", |seen| seen.assignments.is_empty() && seen.runs.is_empty()).await;
}

#[tokio::test]
async fn a_foreground_deletion_waits_for_the_node() {
    let (fleet, name) = placed().await;
    fleet.delete(Kind::Timer, &key("t"), "Foreground").await;
    fleet.until("it is going", |seen| seen.nodes_of("t").is_empty()).await;
    assert!(fleet.seen.timers.get(&key("t")).is_some(), "the Timer waits");
    fleet.ended(&name).await;
    fleet.until("the Timer is gone", |seen| seen.timers.get(&key("t")).is_none()).await;
    fleet.until("so is what it waited for", |seen| seen.assignments.get(&key(&name)).is_none()).await;
    fleet.until("its runs are gone", |seen| seen.runs.is_empty()).await;
}

#[tokio::test]
async fn an_orphan_stays() {
    let (fleet, name) = placed().await;
    fleet.delete(Kind::Timer, &key("t"), "Orphan").await;
    fleet.until("the Timer is gone", |seen| seen.timers.get(&key("t")).is_none()).await;
    fleet
        .until("it has no owner", |seen| {
            seen.assignments.get(&key(&name)).is_some_and(|a| a.metadata.owner_references.is_empty())
        })
        .await;
    assert_eq!(fleet.seen.nodes_of("t"), ["a"]);
    assert!(fleet.seen.runs.get(&key("r")).is_some());
}

#[tokio::test]
async fn an_object_whose_owner_never_was_goes_and_one_of_an_unknown_kind_stays() {
    let fleet = Fleet::new().await;
    let owned = |name: &str, api_version: &str, kind: &str| {
        json!({"metadata": {"name": name, "ownerReferences": [
            {"apiVersion": api_version, "kind": kind, "name": "x", "uid": "never-was"},
        ]}, "spec": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}}})
    };
    fleet.post(Kind::Timer, "default", owned("stays", "example.org/v1", "Thing")).await;
    fleet.post(Kind::Timer, "default", owned("goes", "drover.dev/v1", "Timer")).await;
    fleet.until("it goes", |seen| seen.had("goes") && seen.timers.get(&key("goes")).is_none()).await;
    fleet
        .until("the other is placed", |seen| {
            seen.timers.get(&key("stays")).is_some_and(|t| t.status.is_some())
        })
        .await;
    assert!(!fleet.seen.timers.get(&key("stays")).unwrap().metadata.owner_references.is_empty());
}

#[tokio::test]
async fn a_terminating_namespace_is_emptied_and_waits_for_its_nodes() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Namespace, "", json!({"metadata": {"name": "shop"}})).await;
    fleet.post(Kind::Timer, "shop", timer("t", Value::Null)).await;
    let config = json!({"metadata": {"name": "c"}, "data": {"a": "b"}});
    fleet.post(Kind::ConfigMap, "shop", config.clone()).await;
    fleet.post(Kind::Secret, "shop", json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}})).await;
    fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
    let namespace = |seen: &crate::seen::Seen| seen.namespaces.get(&node_key("shop"));
    let conditions = |seen: &crate::seen::Seen| {
        namespace(seen).and_then(|n| n.status.clone()).unwrap_or_default().conditions
    };
    fleet.until("it is Ready", |seen| holds(&conditions(seen), "Ready")).await;
    fleet.delete(Kind::Namespace, &node_key("shop"), "Background").await;
    fleet
        .until("it says what it waits for", |seen| holds(&conditions(seen), "NamespaceContentRemaining"))
        .await;
    let waits = conditions(&fleet.seen);
    assert!(waits.iter().any(|c| c.message.contains("1 assignments")), "{waits:?}");
    let name = fleet.seen.on("t", "a").unwrap();
    let in_shop = Key { namespace: "shop".into(), name };
    fleet.patch(Kind::Assignment, &in_shop, json!({"metadata": {"finalizers": null}})).await;
    fleet.until("it is gone", |seen| namespace(seen).is_none()).await;
    fleet.post(Kind::Namespace, "", json!({"metadata": {"name": "shop"}})).await;
    for kind in [Kind::Timer, Kind::ConfigMap, Kind::Secret, Kind::Assignment] {
        let path = kind.path(Some("shop"));
        let left: drover_client::List<Value> = fleet.client.list(&path, &Default::default()).await.unwrap();
        assert!(left.items.is_empty(), "{path}: {:?}", left.items);
    }
}

#[tokio::test]
async fn every_namespace_has_an_account_again_after_its_deletion_until_it_goes_itself() {
    let fleet = Fleet::new().await;
    fleet.post(Kind::Namespace, "", json!({"metadata": {"name": "shop"}})).await;
    let account = |space: &str| Key { namespace: space.into(), name: "default".into() };
    for space in ["default", "shop"] {
        fleet.until("it has one", |seen| seen.accounts.get(&account(space)).is_some()).await;
    }
    let first = fleet.seen.accounts.get(&account("shop")).unwrap().metadata.uid.clone();
    fleet.delete(Kind::ServiceAccount, &account("shop"), "Background").await;
    fleet
        .until("it has another one", |seen| {
            seen.accounts.get(&account("shop")).is_some_and(|held| held.metadata.uid != first)
        })
        .await;
    fleet.delete(Kind::Namespace, &node_key("shop"), "Background").await;
    fleet.until("it is gone", |seen| seen.namespaces.get(&node_key("shop")).is_none()).await;
    fleet.until("so is its account", |seen| seen.accounts.get(&account("shop")).is_none()).await;
}

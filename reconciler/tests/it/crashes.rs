//! A reconciler that is killed, wherever it is, and started again.

use drover_types::Kind;
use serde_json::{Value, json};

use crate::fleet::{Fleet, key, node_key, options};
use crate::manifests::{service, timer};

#[tokio::test]
async fn a_reconciler_killed_anywhere_makes_nothing_twice_and_converges() {
    let mut fleet = Fleet::without_reconciler().await;
    let nodes: Vec<String> = (0..6).map(|i| format!("n{i}")).collect();
    for node in &nodes {
        fleet.join(node, json!({})).await;
    }
    for name in ["t0", "t1", "t2"] {
        fleet.post(Kind::Timer, "default", timer(name, Value::Null)).await;
    }
    fleet.post(Kind::Service, "default", service("counted", json!({"count": 2}))).await;
    // Each life is a little longer than the one before.
    for life in 0..25 {
        let born = fleet.seen.changes();
        fleet.start(options());
        fleet.until("something happened", |seen| seen.changes() >= born + life || is_whole(seen)).await;
        fleet.kill().await;
        assert!(fleet.seen.nodes_of("counted").len() <= 2, "one too many");
    }
    fleet.start(options());
    fleet.until("all is placed", is_whole).await;
    assert_eq!(fleet.seen.most_made(), 1);
}

fn is_whole(seen: &crate::seen::Seen) -> bool {
    ["t0", "t1", "t2"].iter().all(|t| seen.nodes_of(t).len() == 6) && seen.nodes_of("counted").len() == 2
}

#[tokio::test]
async fn what_was_deleted_while_nobody_looked_is_found_out() {
    let mut fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
    let name = fleet.seen.on("t", "a").unwrap();
    fleet.run("r", &name, json!({"phase": "Running"})).await;
    fleet.kill().await;
    fleet.delete(Kind::Timer, &key("t"), "Background").await;
    fleet.delete(Kind::Node, &node_key("a"), "Background").await;
    fleet.start(options());
    fleet.until("all is gone", |seen| seen.assignments.is_empty() && seen.runs.is_empty()).await;
    fleet.until("its run was Lost", |seen| seen.lost("r").as_deref() == Some("NodeDeleted")).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.ready("a").await;
    fleet.cut(true);
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.post(Kind::Node, "", json!({"metadata": {"name": "b"}, "spec": {}})).await;
    fleet.cut(false);
    fleet.until("both have it", |seen| seen.nodes_of("t") == ["a", "b"]).await;
    assert_eq!((fleet.seen.most_made(), fleet.counts().panicked), (1, 0));
}

#[tokio::test]
async fn connections_that_break_under_load_lose_nothing_and_double_nothing() {
    let fleet = Fleet::new().await;
    let nodes: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
    for (i, node) in nodes.iter().enumerate() {
        if i % 4 == 0 {
            let name = format!("t{i}");
            fleet.post(Kind::Timer, "default", timer(&name, Value::Null)).await;
        }
        fleet.join(node, json!({})).await;
        fleet.cut(i % 2 == 0);
    }
    fleet.cut(false);
    for name in ["t0", "t4", "t8", "t12", "t16"] {
        fleet.until("all have it", |seen| seen.nodes_of(name).len() == nodes.len()).await;
    }
    assert_eq!((fleet.seen.most_made(), fleet.counts().panicked), (1, 0));
}

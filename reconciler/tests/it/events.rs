//! Events: added up, bounded, and not kept for ever.

use std::time::Duration;

use drover_reconciler::Options;
use drover_types::Kind;
use serde_json::{Value, json};

use crate::fleet::{Fleet, key, node_key, options};
use crate::manifests::timer;

#[tokio::test]
async fn the_same_event_is_counted_and_not_repeated() {
    let fleet = Fleet::new().await;
    fleet.join("a", json!({})).await;
    fleet.post(Kind::Timer, "default", timer("t", json!({"nodeSelector": {"on": "yes"}}))).await;
    for times in 1..=3 {
        fleet.patch(Kind::Node, &node_key("a"), json!({"metadata": {"labels": {"on": "yes"}}})).await;
        fleet.until("a has it", |seen| seen.nodes_of("t") == ["a"]).await;
        fleet
            .until("it was counted", |seen| {
                seen.told("Timer", "t").contains(&(
                    "AssignmentCreated".into(),
                    "Assigned to node a.".into(),
                    times,
                ))
            })
            .await;
        fleet.patch(Kind::Node, &node_key("a"), json!({"metadata": {"labels": {"on": null}}})).await;
        fleet.until("it is going", |seen| seen.nodes_of("t").is_empty()).await;
        fleet.ended(&fleet.seen.on("t", "a").unwrap()).await;
        fleet.until("it is gone", |seen| seen.on("t", "a").is_none()).await;
    }
    fleet
        .until("the end was told as often", |seen| {
            let told = seen.told("Timer", "t");
            told.iter().any(|(reason, _, count)| reason == "AssignmentDeleted" && *count == 3)
        })
        .await;
}

#[tokio::test]
async fn too_many_events_about_one_object_are_dropped_aloud() {
    let mut fleet = Fleet::without_reconciler().await;
    let short = Duration::from_millis(1);
    fleet.start(Options { event_burst: 2, event_refill: Duration::from_secs(3600), ..options() });
    for name in ["a", "b", "c", "d"] {
        fleet.join(name, json!({})).await;
        fleet.ready(name).await;
    }
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("all have it", |seen| seen.nodes_of("t").len() == 4).await;
    fleet.until("some of it was told", |seen| !seen.told("Timer", "t").is_empty()).await;
    let counts = fleet.counts();
    assert!(counts.dropped_events >= 2, "{counts:?}");
    fleet.kill().await;
    // The drops are told too, as soon as one more may come.
    fleet.start(Options { event_burst: 0, event_refill: short, ..options() });
    fleet.patch(Kind::Timer, &key("t"), json!({"spec": {"placement": {"nodeName": "a"}}})).await;
    fleet
        .until("it was told that some were dropped", |seen| {
            seen.told("Timer", "t").iter().any(|(reason, _, _)| reason == "EventsDropped")
        })
        .await;
}

#[tokio::test]
async fn old_events_go() {
    let fleet = Fleet::new().await;
    let event = |name: &str, at: String| {
        json!({"metadata": {"name": name}, "reason": "R", "message": "m", "type": "Normal",
               "involvedObject": {"kind": "Timer", "name": "t"}, "lastTimestamp": at})
    };
    fleet.post(Kind::Event, "default", event("old", fleet.now())).await;
    fleet.forward(3700);
    fleet.post(Kind::Event, "default", event("new", fleet.now())).await;
    fleet.until("the new one is there", |seen| seen.events.get(&key("new")).is_some()).await;
    fleet.until("the old one is gone", |seen| seen.events.get(&key("old")).is_none()).await;
    assert!(fleet.seen.events.get(&key("new")).is_some());
}

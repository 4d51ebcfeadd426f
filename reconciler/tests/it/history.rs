//! Runs are kept, but not for ever.

use drover_types::Kind;
use drover_types::kinds::run::RunPhase;
use serde_json::{Value, json};

use crate::fleet::{Fleet, key};
use crate::manifests::timer;

#[tokio::test]
async fn history_keeps_three_that_succeeded_and_three_that_did_not_per_node() {
    let fleet = Fleet::new().await;
    for name in ["a", "b"] {
        fleet.join(name, json!({})).await;
    }
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.until("both have it", |seen| seen.nodes_of("t").len() == 2).await;
    for node in ["a", "b"] {
        let on = fleet.seen.on("t", node).unwrap();
        for i in 0..5 {
            let at = format!("2030-01-01T00:00:0{i}Z");
            let good = json!({"phase": "Succeeded", "exitCode": 0, "finishedAt": at});
            fleet.run(&format!("{node}-good-{i}"), &on, good).await;
            let bad = json!({"phase": "Failed", "exitCode": 1, "finishedAt": at});
            fleet.run(&format!("{node}-bad-{i}"), &on, bad).await;
        }
        fleet.run(&format!("{node}-live"), &on, json!({"phase": "Running"})).await;
    }
    let kept: Vec<String> = ["a", "b"]
        .into_iter()
        .flat_map(|node| {
            let of = |what: &str| (2..5).map(|i| format!("{node}-{what}-{i}")).collect::<Vec<_>>();
            [of("bad"), of("good"), vec![format!("{node}-live")]].concat()
        })
        .collect();
    let names =
        |seen: &crate::seen::Seen| seen.runs.list().into_iter().map(|(key, _)| key.name).collect::<Vec<_>>();
    fleet.until("the newest are left", |seen| names(seen) == kept).await;
    fleet.patch(Kind::Timer, &key("t"), json!({"spec": {"failedRunsHistoryLimit": 0}})).await;
    fleet
        .until("no failed one is left", |seen| {
            let runs = seen.runs.list();
            runs.len() == 8 && runs.iter().all(|(_, r)| r.status.as_ref().unwrap().phase != RunPhase::Failed)
        })
        .await;
}

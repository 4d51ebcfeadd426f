//! Many nodes: what is counted is gathered, and nothing is done per node that need not be.

use drover_reconciler::Options;
use drover_types::Kind;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::fleet::{Fleet, holds, key};
use crate::manifests::timer;

const NODES: usize = 300;

#[tokio::test]
async fn a_burst_of_reports_is_rolled_up_a_few_times_and_not_once_each() {
    let mut fleet = Fleet::without_reconciler().await;
    let names: Vec<String> = (0..NODES).map(|i| format!("n{i:04}")).collect();
    stream::iter(&names)
        .for_each_concurrent(16, |name| async { drop(fleet.join(name, json!({})).await) })
        .await;
    fleet.post(Kind::Timer, "default", timer("t", Value::Null)).await;
    fleet.start(Options::default());
    fleet.until("all have it", |seen| seen.nodes_of("t").len() == NODES).await;
    let held = fleet.seen.of("t");
    stream::iter(&held)
        .for_each_concurrent(16, |a| fleet.report(&a.metadata.name, json!({"lastPhase": "Succeeded"})))
        .await;
    fleet
        .until("it is Ready", |seen| {
            let status = seen.timers.get(&key("t")).and_then(|t| t.status.clone()).unwrap_or_default();
            usize::try_from(status.ready).unwrap() == NODES && holds(&status.conditions, "Ready")
        })
        .await;
    assert_eq!(fleet.seen.most_made(), 1);
    let writes = fleet.seen.timer_changes();
    assert!(writes < 100, "{writes} writes of one status");
}

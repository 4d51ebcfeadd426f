//! Laws of workloads that may move.

use std::time::Duration;

use serde_json::json;

use crate::agent::{Dir, Running, assignment, boottime, script, text};

fn leased(lease: &str) -> serde_json::Value {
    let mut template = script("exec sleep 600");
    template["process"]["terminationGracePeriod"] = json!("1s");
    let mut web = assignment("web", "Service", json!({"template": template}));
    web["spec"]["lease"] = json!(lease);
    web
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leased_runs_before_the_server_was_heard_nor_beyond_the_lease() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![leased("8s")]).await;
    agent.until("no lease", |seen| (seen.condition("web", "Ready")?.1 == "LeaseLost").then_some(())).await;
    assert!(agent.seen.runs.is_empty());
    let heard = boottime();
    agent.handle.heard(heard).await.unwrap();
    agent.run("web", "Running").await;
    let ended = agent.run("web", "Failed").await;
    assert!(boottime() < heard + Duration::from_secs(8), "it ended after the lease");
    assert_eq!(text(&ended, "/status/reason"), "LeaseLost");
    agent.handle.heard(boottime()).await.unwrap();
    agent.run("web", "Running").await;
    agent.wants(2, Vec::new()).await;
    agent.until("the end", |seen| (!seen.ended.is_empty()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_outlives_the_agent_and_not_the_boot() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![leased("10m")]).await;
    agent.handle.heard(boottime()).await.unwrap();
    let run = agent.run("web", "Running").await;
    agent.crash().await;
    let mut agent = Running::start(&dir.data());
    let again = agent.run("web", "Running").await;
    assert_eq!(again["metadata"]["uid"], run["metadata"]["uid"]);
    agent.crash().await;
    crate::agent::end_all(&dir.data());
    let mut agent = Running::start_in_boot(&dir.data(), "another-boot");
    agent.run("web", "Lost").await;
    agent.until("no lease", |seen| (seen.condition("web", "Ready")?.1 == "LeaseLost").then_some(())).await;
    assert!(agent.seen.runs_in("web", "Running").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_its_processes_also_if_the_agent_stays_dead() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![leased("8s")]).await;
    let heard = boottime();
    agent.handle.heard(heard).await.unwrap();
    let run = agent.run("web", "Running").await;
    let state = agent.state(&run);
    agent.crash().await;
    let tree = drover_spawn::Tree::of_run(text(&run, "/metadata/uid"), &state);
    while !tree.members().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(boottime() < heard + Duration::from_secs(8), "it ended after the lease");
    let mut agent = Running::start(&dir.data());
    let ended = agent.run("web", "Failed").await;
    assert_eq!(text(&ended, "/status/signal"), "SIGTERM");
}

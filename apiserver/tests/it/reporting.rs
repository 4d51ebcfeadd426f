//! What nodes report: stored once, about themselves only, acknowledged.

use drover_wire::{Accepted, AssignmentIdentity, NodeFacts, ReportItem, StatusReport};
use serde_json::{Value, json};

use crate::agents::{connect, node_path, run_path};
use crate::cluster::{Cluster, SPACE, uid};

const RUN: &str = "019ab5f0-3c1e-7a3b-9d55-1d2c3b4a5f60";
const OTHER_RUN: &str = "019ab5f0-3c1e-7a3b-9d55-1d2c3b4a5f61";

fn identity(assignment: &Value, uid: String) -> AssignmentIdentity {
    let name = assignment["metadata"]["name"].as_str().unwrap().to_owned();
    AssignmentIdentity { namespace: "default".into(), name, uid }
}

fn status(assignment: &Value, uid: String, status: Value) -> ReportItem {
    let AssignmentIdentity { namespace, name, uid } = identity(assignment, uid);
    ReportItem::AssignmentStatus(StatusReport { namespace, name, uid, status })
}

#[tokio::test]
async fn a_run_is_the_nodes_in_uid_and_status_and_the_servers_in_the_rest() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let a = cluster.assign("a", "n", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let item = agent.run("a-1", RUN, &a, "Running");
    agent.report(1, 1, vec![item]).await;
    let run = cluster.get(&run_path("a-1")).await;
    assert_eq!(run["metadata"]["uid"], RUN);
    assert_eq!(run["metadata"]["labels"], a["metadata"]["labels"]);
    assert_eq!(run["metadata"].get("finalizers"), None);
    assert_eq!(run["metadata"]["ownerReferences"][0]["uid"], a["metadata"]["uid"]);
    assert_eq!(run["spec"]["workloadRef"]["uid"], "w-uid");
    let item = agent.run("a-1", RUN, &a, "Succeeded");
    agent.report(1, 2, vec![item]).await;
    let done = cluster.get(&run_path("a-1")).await;
    assert_eq!(done["status"]["phase"], "Succeeded");
    assert_eq!(done["metadata"]["creationTimestamp"], run["metadata"]["creationTimestamp"]);
}

#[tokio::test]
async fn a_replay_changes_nothing_and_brings_no_run_back() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let a = cluster.assign("a", "n", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let items = || vec![agent_run(&a, "a-1", RUN), agent_run(&a, "a-2", OTHER_RUN)];
    agent.report(3, 1, items()).await;
    cluster.delete(&run_path("a-1")).await;
    let kept = cluster.get(&run_path("a-2")).await;
    agent.report(3, 1, items()).await;
    agent.report(2, 9, items()).await;
    drop(agent);
    let cluster = cluster.restart().await;
    let mut agent = connect(&cluster, "n", &credential).await;
    assert_eq!(agent.welcome.accepted, Accepted { agent_epoch: 3, sequence: 1 }, "it survives a restart");
    agent.report(3, 1, items()).await;
    assert!(!cluster.exists(&run_path("a-1")).await);
    assert_eq!(cluster.get(&run_path("a-2")).await, kept);
    let metrics = cluster.metrics().await;
    assert!(metrics.contains("drover_apiserver_reports_total{outcome=\"Replayed\"} 1"), "{metrics}");
    assert!(metrics.contains("drover_apiserver_sessions 1"), "{metrics}");
}

fn agent_run(assignment: &Value, name: &str, uid: &str) -> ReportItem {
    let object = json!({
        "metadata": {"name": name, "namespace": assignment["metadata"]["namespace"], "uid": uid},
        "spec": {
            "nodeName": assignment["spec"]["nodeName"], "assignmentRef": assignment["metadata"]["name"],
        },
        "status": {"phase": "Succeeded", "exitCode": 0},
    });
    ReportItem::Run { object }
}

#[tokio::test]
async fn what_is_not_about_the_node_is_dropped_and_acknowledged() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    cluster.node("m").await;
    let mine = cluster.assign("mine", "n", &[]).await;
    let other = cluster.assign("other", "m", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let ready = json!({"active": 1});
    let event = |name: &str, kind: &str, about: &str| ReportItem::Event {
        object: json!({
            "metadata": {"name": name, "namespace": "default"}, "reason": "R", "type": "Warning",
            "involvedObject": {"kind": kind, "namespace": "default", "name": about},
        }),
    };
    let mut as_other = agent_run(&other, "as-other", RUN);
    let elsewhere = agent_run(&other, "elsewhere", RUN);
    if let ReportItem::Run { object } = &mut as_other {
        object["spec"]["nodeName"] = "n".into();
    }
    agent
        .report(
            1,
            1,
            vec![
                elsewhere,
                as_other,
                agent_run(&mine, "bad-uid", "u"),
                status(&other, uid(&other), ready.clone()),
                status(&mine, "an-earlier-uid".into(), ready.clone()),
                status(&mine, uid(&mine), json!({"active": "many"})),
                ReportItem::Ended(identity(&mine, uid(&mine))),
                ReportItem::Ended(identity(&other, uid(&other))),
                event("e1", "Assignment", "other"),
                event("e2", "Node", "m"),
                event("e3", "Secret", "s"),
                event("e4", "Assignment", "mine"),
                status(&mine, uid(&mine), ready),
            ],
        )
        .await;
    for run in ["elsewhere", "as-other", "bad-uid"] {
        assert!(!cluster.exists(&run_path(run)).await, "{run}");
    }
    assert_eq!(cluster.get(&format!("{SPACE}/assignments/other")).await, other);
    let mine = cluster.get(&format!("{SPACE}/assignments/mine")).await;
    assert_eq!(mine["status"]["active"], 1);
    let events = cluster.get("/api/v1/namespaces/default/events").await;
    let names: Vec<_> =
        events["items"].as_array().unwrap().iter().map(|e| e["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["e4"]);
    assert_eq!(events["items"][0]["source"]["host"], "n");
    let metrics = cluster.metrics().await;
    assert!(metrics.contains("drover_apiserver_reports_total{outcome=\"Refused\"} 11"), "{metrics}");
    assert!(metrics.contains("drover_apiserver_reports_total{outcome=\"Accepted\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_namesake_takes_the_place_of_a_finished_run_only() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let a = cluster.assign("a", "n", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let running = agent.run("a-1", RUN, &a, "Running");
    let namesake = || agent_run(&a, "a-1", OTHER_RUN);
    agent.report(1, 1, vec![running, namesake()]).await;
    assert_eq!(uid(&cluster.get(&run_path("a-1")).await), RUN);
    let finished = agent.run("a-1", RUN, &a, "Lost");
    agent.report(1, 2, vec![finished, namesake()]).await;
    assert_eq!(uid(&cluster.get(&run_path("a-1")).await), OTHER_RUN);
}

#[tokio::test]
async fn an_end_lets_a_deleted_assignment_go() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let a = cluster.assign("a", "n", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let path = format!("{SPACE}/assignments/a");
    cluster.delete(&path).await;
    agent.report(1, 1, vec![ReportItem::Ended(identity(&a, "another".into()))]).await;
    assert!(cluster.exists(&path).await, "it waits for its own processes");
    agent.report(1, 2, vec![ReportItem::Ended(identity(&a, uid(&a)))]).await;
    assert!(!cluster.exists(&path).await);
}

#[tokio::test]
async fn nothing_new_comes_into_a_namespace_that_goes() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let spec = cluster.assign("a", "n", &[]).await["spec"].clone();
    cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": "team"}})).await;
    let team = "/apis/drover.dev/v1/namespaces/team";
    let body = json!({"metadata": {"name": "a"}, "spec": spec});
    let a = cluster.create(&format!("{team}/assignments"), &body).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    agent.report(1, 1, vec![agent_run(&a, "a-1", RUN)]).await;
    assert!(cluster.exists(&format!("{team}/runs/a-1")).await);
    cluster.delete("/api/v1/namespaces/team").await;
    agent.report(1, 2, vec![agent_run(&a, "a-2", OTHER_RUN)]).await;
    assert!(!cluster.exists(&format!("{team}/runs/a-2")).await);
}

#[tokio::test]
async fn facts_are_written_when_they_change() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let mut facts = NodeFacts { cpus: 16, ..crate::agents::hello("n").facts };
    agent.report(1, 1, vec![ReportItem::Node { facts: facts.clone() }]).await;
    let node = cluster.get(&node_path("n")).await;
    assert_eq!(node["status"]["capacity"]["cpu"], "16");
    assert_eq!(node["status"]["nodeInfo"]["bootID"], "boot-1");
    agent.report(1, 2, vec![ReportItem::Node { facts: facts.clone() }]).await;
    assert_eq!(cluster.get(&node_path("n")).await, node);
    facts.kernel = "7.0".into();
    agent.report(1, 3, vec![ReportItem::Node { facts }]).await;
    assert_eq!(cluster.get(&node_path("n")).await["status"]["nodeInfo"]["kernelVersion"], "7.0");
}

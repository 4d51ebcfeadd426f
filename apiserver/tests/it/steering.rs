//! What a node is told: its own Assignments, the secrets they name, triggers; and when its session ends.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_wire::{AgentMessage, Desired, DesiredAck, ServerMessage, TriggerResult};
use serde_json::{Value, json};

use crate::agents::{Agent, connect, connect_as, greet, hello, node_path, run_path};
use crate::cluster::{Cluster, SPACE, code, uid};

fn names(desired: &Desired) -> Vec<&str> {
    desired.assignments.iter().map(|a| a["metadata"]["name"].as_str().unwrap()).collect()
}

fn secrets(desired: &Desired) -> Vec<&str> {
    desired.materials.iter().map(|material| material.name.as_str()).collect()
}

#[tokio::test]
async fn a_node_sees_its_own_assignments_and_the_secrets_that_they_name() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    cluster.node("m").await;
    for name in ["mine", "other", "unused"] {
        cluster.secret(name, "x").await;
    }
    cluster.assign("a", "n", &["mine", "missing"]).await;
    cluster.assign("b", "m", &["other"]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let first = agent.desired().await;
    assert!(first.full);
    assert_eq!((names(&first), secrets(&first)), (vec!["a"], vec!["mine"]));
    assert_eq!(first.pool.unwrap().offline_after_ms, 60_000);
    cluster.secret("missing", "y").await;
    let next = agent.desired().await;
    assert!(!next.full);
    assert_eq!((names(&next), secrets(&next)), (Vec::new(), vec!["missing"]));
    cluster.secret("still-unused", "z").await;
    let c = cluster.assign("c", "n", &["unused"]).await;
    let next = agent.desired().await;
    assert_eq!((names(&next), secrets(&next)), (vec!["c"], vec!["unused"]));
    cluster.delete(&format!("{SPACE}/assignments/c")).await;
    let going = agent.desired().await;
    assert_eq!(names(&going), ["c"], "it is told to end it");
    assert!(going.assignments[0]["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(going.dropped_materials[0].name, "unused");
    cluster.patch(&format!("{SPACE}/assignments/c"), &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(agent.desired().await.removed, [uid(&c)]);
}

#[tokio::test]
async fn a_pool_reaches_the_nodes_in_it() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut agent = connect(&cluster, "n", &credential).await;
    agent.desired().await;
    let pools = "/apis/drover.dev/v1/nodepools";
    let body = json!({"metadata": {"name": "p"}, "spec": {"lanes": {"backup": 2}, "offlineAfter": "5m"}});
    cluster.create(pools, &body).await;
    cluster.patch(&format!("{}/status", node_path("n")), &json!({"status": {"pool": "p"}})).await;
    let pool = agent.desired().await.pool.unwrap();
    assert_eq!((pool.lanes["backup"], pool.offline_after_ms), (2, 300_000));
    cluster.patch(&format!("{pools}/p"), &json!({"spec": {"lanes": {"backup": 3}}})).await;
    assert_eq!(agent.desired().await.pool.unwrap().lanes["backup"], 3);
}

/// What an agent has after some states.
#[derive(Default)]
struct Disk {
    revision: Option<u64>,
    assignments: BTreeMap<String, Value>,
    secrets: BTreeMap<String, BTreeMap<String, String>>,
}

impl Disk {
    fn store(&mut self, desired: Desired) {
        if desired.full {
            *self = Self::default();
        }
        self.revision = Some(desired.revision);
        self.assignments.extend(desired.assignments.into_iter().map(|a| (uid(&a), a["spec"].clone())));
        self.assignments.retain(|uid, _| !desired.removed.contains(uid));
        for gone in desired.dropped_materials {
            self.secrets.remove(&gone.name);
        }
        self.secrets.extend(desired.materials.into_iter().map(|m| (m.name, m.data)));
    }
}

async fn change_everything(cluster: &Cluster) {
    cluster.patch("/api/v1/namespaces/default/secrets/s", &json!({"stringData": {"value": "new"}})).await;
    cluster.secret("t", "t").await;
    cluster.assign("fresh", "n", &["t"]).await;
    let gone = format!("{SPACE}/assignments/gone");
    cluster.patch(&gone, &json!({"metadata": {"finalizers": null}})).await;
    cluster.delete(&gone).await;
    let every = json!({"spec": {"timer": {"every": "2h"}}});
    cluster.patch(&format!("{SPACE}/assignments/kept"), &every).await;
}

#[tokio::test]
async fn a_delta_after_an_absence_equals_the_full_state_also_across_a_restart() {
    for restart in [false, true] {
        let mut cluster = Cluster::new().await;
        let credential = cluster.node("n").await;
        cluster.secret("s", "old").await;
        cluster.assign("kept", "n", &["s"]).await;
        cluster.assign("gone", "n", &["s"]).await;
        let mut disk = Disk::default();
        let mut agent = connect(&cluster, "n", &credential).await;
        let epoch = agent.welcome.store_epoch.clone();
        disk.store(agent.desired().await);
        drop(agent);
        change_everything(&cluster).await;
        if restart {
            cluster = cluster.restart().await;
        }
        let back = |revision| drover_wire::Hello {
            node_uid: Some(credential.node_uid.clone()),
            store_epoch: Some(epoch.clone()),
            desired_revision: revision,
            ..hello("n")
        };
        let mut agent = connect_as(&cluster, &credential, back(disk.revision)).await;
        let delta = agent.desired().await;
        assert!(!delta.full, "restart: {restart}");
        disk.store(delta);
        drop(agent);
        let mut agent = connect(&cluster, "n", &credential).await;
        let mut whole = Disk::default();
        whole.store(agent.desired().await);
        assert_eq!((&disk.assignments, &disk.secrets), (&whole.assignments, &whole.secrets));
        assert_eq!(disk.assignments.len(), 2);
        drop(agent);
        let mut agent = connect_as(&cluster, &credential, back(whole.revision)).await;
        let nothing = agent.desired().await;
        assert!(!nothing.full && nothing.assignments.is_empty() && nothing.materials.is_empty());
    }
}

#[tokio::test]
async fn the_next_state_waits_until_the_one_before_is_stored() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let ServerMessage::Desired(first) = agent.next().await else { panic!("not a desired state") };
    cluster.assign("a", "n", &[]).await;
    cluster.assign("b", "n", &[]).await;
    agent.tell(AgentMessage::DesiredAck(DesiredAck { revision: first.revision })).await;
    let mut seen = names(&agent.desired().await).into_iter().map(str::to_owned).collect::<Vec<_>>();
    if seen.len() < 2 {
        seen.extend(names(&agent.desired().await).into_iter().map(str::to_owned));
    }
    seen.sort();
    assert_eq!(seen, ["a", "b"]);
    agent.tell(AgentMessage::DesiredAck(DesiredAck { revision: 1 })).await;
    assert!(agent.close().await.reason.contains("not on its way"));
}

#[tokio::test]
async fn an_agent_that_hangs_is_closed_and_others_go_on() {
    let cluster = Cluster::with(|options| options.heartbeat_interval = Duration::from_millis(50)).await;
    let (stuck, well) = (cluster.node("stuck").await, cluster.node("well").await);
    // More than the pipe holds, so that writes to the one that hangs do not go through.
    let script = "x".repeat(300 << 10);
    let a = cluster.assign("big", "stuck", &[]).await;
    let spec = json!({"spec": {"timer": {"template": {"process": {"command": null, "script": script}}}}});
    cluster.patch(&format!("{SPACE}/assignments/{}", a["metadata"]["name"].as_str().unwrap()), &spec).await;
    let hanging = connect(&cluster, "stuck", &stuck).await;
    let mut agent: Agent = connect(&cluster, "well", &well).await;
    agent.desired().await;
    let going = |cluster: Cluster| async move {
        cluster.until(&node_path("stuck"), |n| n["status"]["session"]["connected"] == false).await;
        cluster
    };
    let mut going = std::pin::pin!(going(cluster));
    let cluster = loop {
        tokio::select! {
            biased;
            frame = agent.next_frame() => assert!(frame.is_some(), "the other one goes on"),
            cluster = &mut going => break cluster,
        }
    };
    cluster.assign("more", "well", &[]).await;
    assert_eq!(names(&agent.desired().await), ["more"]);
    drop(hanging);
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_leaves_no_session_behind() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut agent = connect(&cluster, "n", &credential).await;
    cluster.server.stop();
    let close = agent.close().await;
    assert!(close.reason.contains("stops") && close.retry_after_ms.is_some());
    drop(agent);
    let cluster = cluster.restart().await;
    assert_eq!(cluster.get(&node_path("n")).await["status"]["session"]["connected"], false);
}

#[tokio::test]
async fn a_trigger_says_what_each_node_made_of_it() {
    let cluster = Cluster::new().await;
    let timer = cluster.timer("t").await;
    let path = format!("{SPACE}/timers/t/trigger");
    assert_eq!(
        code(&cluster.post(&format!("{SPACE}/timers/none/trigger"), &json!({})).await.unwrap_err()),
        404
    );
    let refused = cluster.post(&path, &json!({})).await.unwrap_err();
    assert_eq!(code(&refused), 409);
    let mut agents = BTreeMap::new();
    for node in ["a", "b", "c"] {
        let credential = cluster.node(node).await;
        cluster.assign_of(&format!("t-{node}"), node, &uid(&timer), &[]).await;
        if node != "b" {
            let mut agent = connect(&cluster, node, &credential).await;
            agent.desired().await;
            agents.insert(node, agent);
        }
    }
    assert_eq!(code(&cluster.post(&path, &json!({"nodeName": "z"})).await.unwrap_err()), 409);
    assert_eq!(code(&cluster.post(&path, &json!({"bogus": 1})).await.unwrap_err()), 400);
    let answer = |mut agent: Agent, run: Option<&'static str>| async move {
        let ServerMessage::Trigger(trigger) = agent.next().await else { panic!("not a trigger") };
        let refused = run.is_none().then(|| "the lane is full".to_owned());
        let run = run.map(str::to_owned);
        let result = TriggerResult { request_id: trigger.request_id.clone(), run, refused };
        agent.tell(AgentMessage::TriggerResult(result)).await;
        (agent, trigger)
    };
    let (a, c) = (agents.remove("a").unwrap(), agents.remove("c").unwrap());
    let body = json!({"requestId": "r1"});
    let (told, (a, trigger), (_c, _)) =
        tokio::join!(cluster.post(&path, &body), answer(a, Some("t-1")), answer(c, None));
    assert_eq!(trigger.request_id, "r1");
    let no_session = "the node has no session with the server";
    assert_eq!(
        told.unwrap(),
        json!({"kind": "TriggerResponse", "apiVersion": "drover.dev/v1", "nodes": [
            {"nodeName": "a", "run": "t-1"},
            {"nodeName": "b", "refused": no_session},
            {"nodeName": "c", "refused": "the lane is full"},
        ]})
    );
    let only = json!({"nodeName": "a"});
    let lost = |mut agent: Agent| async move {
        agent.next().await;
    };
    let (told, ()) = tokio::join!(cluster.post(&path, &only), lost(a));
    let told = told.unwrap();
    assert!(told["nodes"][0]["refused"].as_str().unwrap().contains("ended before"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_from_the_history_before_a_restore_ends_the_runs_that_it_cannot_speak_for() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let assignment = cluster.assign("a", "n", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    let uid = |number: u8| format!("019ab5f0-3c1e-7a3b-9d55-1d2c3b4a5f{number:02x}");
    let run = |agent: &Agent, number, phase: &str| {
        agent.run(&format!("r{number}"), &uid(number), &assignment, phase)
    };
    let items = vec![run(&agent, 1, "Running"), run(&agent, 2, "Running"), run(&agent, 3, "Succeeded")];
    agent.report(1, 1, items).await;
    drop(agent);
    let cluster = cluster.restart().await;
    let other = drover_wire::Hello {
        store_epoch: Some("before the restore".into()),
        open_runs: Some(vec![uid(1)]),
        ..hello("n")
    };
    let _agent = connect_as(&cluster, &credential, other).await;
    let status = async |name: &str| cluster.get(&run_path(name)).await["status"].clone();
    assert_eq!(status("r1").await["phase"], "Running");
    let lost = status("r2").await;
    assert_eq!((&lost["phase"], &lost["reason"]), (&"Lost".into(), &"Restored".into()), "{lost}");
    assert!(lost.get("pid").is_none() && lost.get("finishedAt").is_some(), "{lost}");
    assert_eq!(status("r3").await["phase"], "Succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_an_older_copy_of_its_data_refuses_nodes_that_know_better() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let agent = connect(&cluster, "n", &credential).await;
    let epoch = agent.welcome.store_epoch.clone();
    drop(agent);
    let later = drover_wire::Hello {
        store_epoch: Some(epoch),
        node_uid: Some(credential.node_uid.clone()),
        desired_revision: Some(1 << 20),
        ..hello("n")
    };
    let mut agent = greet(&cluster, &credential, later).await;
    let close = agent.close().await;
    assert!(close.reason.contains("drover restore") && close.retry_after_ms.is_some(), "{close:?}");
}

//! How hosts become nodes, and cease to be.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agents::{connect, connect_as, greet, hello, node_path};
use crate::cluster::{Cluster, code, host_id};

#[tokio::test]
async fn a_host_gets_only_the_labels_that_its_token_allows() {
    let cluster = Cluster::new().await;
    let token = cluster.join_token(json!({"allowedLabels": {"role": ["edge", "web"]}})).await;
    let refused = cluster.join(&token, "n", &[("role", "database")]).await.unwrap_err();
    assert_eq!(code(&refused), 403);
    let told = refused.to_string();
    assert!(told.contains("role=database") && told.contains("role=edge, role=web"), "{told}");
    for label in ["drover.dev/role", "kubernetes.io/os", "node-restriction.kubernetes.io/x"] {
        let refused = cluster.join(&token, "n", &[(label, "server")]).await.unwrap_err();
        assert_eq!(code(&refused), 403, "{label}");
    }
    assert!(!cluster.exists(&node_path("n")).await, "a refused join makes nothing");
    cluster.join(&token, "n", &[("role", "edge")]).await.unwrap();
    let node = cluster.get(&node_path("n")).await;
    let labels = json!({"role": "edge", "kubernetes.io/hostname": "n"});
    assert_eq!(node["metadata"]["labels"], labels);
    let again = cluster.join(&token, "n", &[("role", "web")]).await.unwrap();
    assert_eq!(again.node_uid, node["metadata"]["uid"]);
    let node = cluster.get(&node_path("n")).await;
    assert_eq!(node["metadata"]["labels"], labels, "labels are set once");
}

#[tokio::test]
async fn a_join_token_that_no_host_could_use_is_refused_where_it_is_made() {
    let cluster = Cluster::new().await;
    for (wish, told) in [
        (json!({"nodeName": "Not_A_Name"}), "nodeName"),
        (json!({"allowedLabels": {"drover.dev/role": ["server"]}}), "is reserved"),
        (json!({"allowedLabels": {"no key": ["x"]}}), "is not a label"),
        (json!({"allowedLabels": {"key": ["no value"]}}), "is not a label"),
    ] {
        let mut body = wish;
        body["role"] = "node".into();
        let refused = cluster.post("/apis/drover.dev/v1/tokens", &body).await.unwrap_err();
        assert_eq!(code(&refused), 400, "{body}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
}

#[tokio::test]
async fn a_token_for_one_node_or_past_its_time_joins_nobody_else() {
    let cluster = Cluster::new().await;
    let token = cluster.join_token(json!({"nodeName": "n", "ttlSeconds": 60})).await;
    assert_eq!(code(&cluster.join(&token, "m", &[]).await.unwrap_err()), 403);
    let credential = cluster.join(&token, "n", &[]).await.unwrap();
    cluster.clock.by(Duration::from_secs(61));
    let refused = cluster.join(&token, "n", &[]).await.unwrap_err();
    assert_eq!(code(&refused), 401);
    assert!(refused.to_string().contains("the token expired at 2"), "{refused}");
    let admin = cluster.server.admin_token().to_owned();
    for other in [&admin, &credential.token] {
        assert_eq!(code(&cluster.join(other, "n", &[]).await.unwrap_err()), 403, "no join token");
    }
    let bad = cluster.join_token(json!({})).await;
    assert_eq!(code(&cluster.join(&bad, "Not_A_Name", &[]).await.unwrap_err()), 422);
}

#[tokio::test]
async fn a_new_credential_revokes_the_old() {
    let cluster = Cluster::new().await;
    let old = cluster.node("n").await;
    let mut agent = connect(&cluster, "n", &old).await;
    let new = cluster.node("n").await;
    assert_eq!(new.node_uid, old.node_uid);
    assert!(agent.close().await.reason.contains("another credential"));
    let client = cluster.client(&old.token);
    let path = drover_wire::session_path("n");
    let refused = client.open_websocket(&path, &[drover_wire::SUBPROTOCOL]).await.err().unwrap();
    assert_eq!(code(&refused), 401);
    connect(&cluster, "n", &new).await;
}

#[tokio::test]
async fn another_host_takes_a_nodes_place_only_with_a_token_made_for_that_node() {
    let cluster = Cluster::new().await;
    let any = cluster.join_token(json!({})).await;
    let (host, rogue) = (host_id("first"), host_id("rogue"));
    let first = cluster.join_from(&host, &any, "n", &[]).await.unwrap();
    let mut agent = connect(&cluster, "n", &first).await;
    let refused = cluster.join_from(&rogue, &any, "n", &[]).await.unwrap_err();
    assert_eq!(code(&refused), 403);
    let told = refused.to_string();
    for way in ["another host is this node", "drover token create node --node-name n", "drover delete node n"]
    {
        assert!(told.contains(way), "{told}");
    }
    // The refusal has taken nothing from the host that is the node.
    agent.desired().await;
    let again = cluster.join_from(&host, &any, "n", &[]).await.unwrap();
    assert_eq!(again.node_uid, first.node_uid);

    let bound = cluster.join_token(json!({"nodeName": "n"})).await;
    let moved = cluster.join_from(&rogue, &bound, "n", &[]).await.unwrap();
    assert_eq!(moved.node_uid, first.node_uid, "it is the same Node on another host");
    assert_eq!(code(&cluster.join_from(&host, &any, "n", &[]).await.unwrap_err()), 403, "the place is taken");

    cluster.delete(&node_path("n")).await;
    let new = cluster.join_from(&host, &any, "n", &[]).await.unwrap();
    assert_ne!(new.node_uid, first.node_uid);
}

#[tokio::test]
async fn who_a_node_is_outlives_the_server() {
    let cluster = Cluster::new().await;
    let any = cluster.join_token(json!({})).await;
    cluster.join_from(&host_id("first"), &any, "n", &[]).await.unwrap();
    let cluster = cluster.restart().await;
    assert_eq!(code(&cluster.join_from(&host_id("rogue"), &any, "n", &[]).await.unwrap_err()), 403);
    cluster.join_from(&host_id("first"), &any, "n", &[]).await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_declared_and_never_joined_is_whoever_joins_first() {
    let cluster = Cluster::new().await;
    let any = cluster.join_token(json!({})).await;
    let body = json!({"metadata": {"name": "n", "labels": {"role": "web"}}});
    let declared = cluster.create("/api/v1/nodes", &body).await;
    let joined = cluster.join_from(&host_id("first"), &any, "n", &[]).await.unwrap();
    assert_eq!(joined.node_uid, declared["metadata"]["uid"]);
    assert_eq!(code(&cluster.join_from(&host_id("second"), &any, "n", &[]).await.unwrap_err()), 403);
}

#[tokio::test]
async fn nobody_from_elsewhere_becomes_the_servers_own_node_unasked() {
    let cluster = Cluster::new().await;
    cluster.server.join_local("here").await.unwrap();
    let any = cluster.join_token(json!({})).await;
    assert_eq!(code(&cluster.join(&any, "here", &[]).await.unwrap_err()), 403);
    let other = cluster.join(&any, "there", &[]).await.unwrap();
    let taken = cluster.server.join_local("there").await.unwrap();
    assert_eq!(taken.node_uid, other.node_uid, "the server's operator decides what its host is");
    for bad in ["", "0123", &"A".repeat(32)] {
        assert_eq!(code(&cluster.join_from(bad, &any, "new", &[]).await.unwrap_err()), 400, "{bad:?}");
    }
}

#[tokio::test]
async fn deleting_a_node_closes_its_session_and_revokes_its_credential() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut agent = connect(&cluster, "n", &credential).await;
    cluster.delete(&node_path("n")).await;
    assert!(agent.close().await.reason.contains("deleted"));
    let path = drover_wire::session_path("n");
    let open = |token: String| {
        let client = cluster.client(&token);
        let path = path.clone();
        async move { client.open_websocket(&path, &[drover_wire::SUBPROTOCOL]).await }
    };
    assert_eq!(code(&open(credential.token.clone()).await.err().unwrap()), 401);
    let again = cluster.node("n").await;
    assert_ne!(again.node_uid, credential.node_uid);
    assert_eq!(code(&open(credential.token).await.err().unwrap()), 401, "a namesake revives nothing");
    connect(&cluster, "n", &again).await;
}

#[tokio::test]
async fn a_credential_opens_its_own_session_and_nothing_else() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    cluster.node("m").await;
    let client = cluster.client(&credential.token);
    let refused = client.get::<Value>("/api/v1/namespaces/default/secrets").await.unwrap_err();
    assert_eq!(code(&refused), 403);
    let protocols = [drover_wire::SUBPROTOCOL];
    let other = drover_wire::session_path("m");
    assert_eq!(code(&client.open_websocket(&other, &protocols).await.err().unwrap()), 403);
    let own = drover_wire::session_path("n");
    assert_eq!(code(&client.open_websocket(&own, &["v9.else"]).await.err().unwrap()), 400);
    let admin = cluster.admin();
    assert_eq!(code(&admin.open_websocket(&own, &protocols).await.err().unwrap()), 403);
    for path in ["/apis/drover.dev/v1/namespaces/default/runs/r/log", "/metrics"] {
        assert_eq!(code(&client.get::<Value>(path).await.unwrap_err()), 403, "{path}");
    }
}

#[tokio::test]
async fn a_hello_that_does_not_fit_is_told_why() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut newer = hello("n");
    newer.wire.major += 1;
    assert!(greet(&cluster, &credential, newer).await.close().await.reason.contains("upgrade"));
    let client = cluster.client(&credential.token);
    let socket = client.open_websocket(&drover_wire::session_path("n"), &[drover_wire::SUBPROTOCOL]).await;
    let (mut sender, mut receiver) = socket.unwrap().split();
    let pong = drover_wire::AgentMessage::Pong(drover_wire::Pong { nonce: 1 });
    sender.send(drover_wire::Frame::control(&pong).unwrap().encode().unwrap()).await.unwrap();
    let drover_client::Message::Binary(told) = receiver.next().await.unwrap().unwrap() else {
        panic!("not a frame")
    };
    assert!(String::from_utf8_lossy(&told).contains("not a hello"));
}

#[tokio::test]
async fn the_servers_own_host_is_labelled_so() {
    let cluster = Cluster::new().await;
    let credential = cluster.server.join_local("here").await.unwrap();
    let node = cluster.get(&node_path("here")).await;
    assert_eq!(node["metadata"]["labels"]["drover.dev/role"], "server");
    cluster.server.join_local("here").await.unwrap();
    // The credential of before is revoked, the Node is the same.
    let last = cluster.server.join_local("here").await.unwrap();
    assert_eq!(last.node_uid, credential.node_uid);
    connect(&cluster, "here", &last).await;
}

#[tokio::test]
async fn a_node_shows_its_session_and_what_its_host_is() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let agent = connect(&cluster, "n", &credential).await;
    assert_eq!(agent.welcome.node_uid, credential.node_uid);
    assert_eq!(agent.welcome.offline_after_ms, 60_000);
    let node = cluster.get(&node_path("n")).await;
    assert_eq!(node["status"]["session"]["connected"], true);
    assert_eq!(node["status"]["nodeInfo"]["bootID"], "boot-1");
    assert_eq!(node["status"]["capacity"], json!({"cpu": "2", "memory": "4194304Ki"}));
    let labels = &node["metadata"]["labels"];
    assert_eq!(
        (&labels["kubernetes.io/os"], &labels["kubernetes.io/arch"]),
        (&json!("linux"), &json!("amd64"))
    );
    assert_eq!(labels.get("drover.dev/role"), None, "a hello labels nothing");
    drop(agent);
    let node = cluster.until(&node_path("n"), |n| n["status"]["session"]["connected"] == false).await;
    assert!(node["status"]["session"]["changedAt"].is_string());
}

#[tokio::test]
async fn a_newer_session_takes_the_place_of_the_older() {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let mut older = connect(&cluster, "n", &credential).await;
    let mut newer = connect(&cluster, "n", &credential).await;
    assert!(older.close().await.reason.contains("newer session"));
    newer.desired().await;
    let node = cluster.get(&node_path("n")).await;
    assert_eq!(node["status"]["session"]["connected"], true, "the older one's end says nothing");
}

#[tokio::test]
async fn an_agent_beyond_the_bound_is_told_to_come_back_later() {
    let cluster = Cluster::with(|options| options.max_sessions = 1).await;
    let (one, two) = (cluster.node("one").await, cluster.node("two").await);
    let agent = connect(&cluster, "one", &one).await;
    let close = greet(&cluster, &two, hello("two")).await.close().await;
    assert!(close.retry_after_ms.is_some_and(|later| later >= 1000), "{close:?}");
    drop(agent);
    cluster.until(&node_path("one"), |n| n["status"]["session"]["connected"] == false).await;
    connect_as(&cluster, &two, hello("two")).await;
}

#[tokio::test]
async fn an_agent_waits_its_turn_and_not_for_ever() {
    let cluster = Cluster::with(|options| {
        options.max_syncs = 1;
        options.handshake_timeout = Duration::from_millis(200);
    })
    .await;
    let (slow, next) = (cluster.node("slow").await, cluster.node("next").await);
    // More than the pipe and the socket's own queue hold: the turn lasts until it has left.
    for name in ["a", "b", "c", "d"] {
        let a = cluster.assign(name, "slow", &[]).await;
        let script = "x".repeat(700 << 10);
        let spec = json!({"spec": {"timer": {"template": {"process": {"command": null, "script": script}}}}});
        let name = a["metadata"]["name"].as_str().unwrap();
        cluster.patch(&format!("{}/assignments/{name}", crate::cluster::SPACE), &spec).await;
    }
    let mut agent = connect(&cluster, "slow", &slow).await;
    let close = greet(&cluster, &next, hello("next")).await.close().await;
    assert!(close.retry_after_ms.is_some(), "{close:?}");
    assert_eq!(agent.desired().await.assignments.len(), 4);
    connect(&cluster, "next", &next).await;
}

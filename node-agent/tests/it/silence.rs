//! A network that carries one way only.

use std::time::Duration;

use drover_spawn::RunState;
use drover_wire::{Accepted, AgentMessage, Ping, ServerMessage};
use serde_json::json;

use crate::agent::{Dir, PATIENCE, assignment, script};
use crate::server::{Peer, Server, Stored};
use crate::sessions::Node;

const HEARTBEAT_MS: u64 = 200;

/// Answers the agent with pings, as a server does, until a pong has been acknowledged.
async fn beat(peer: &mut Peer, store: &mut Stored, nonces: std::ops::RangeInclusive<u64>) {
    for nonce in nonces {
        peer.send(ServerMessage::Ping(Ping { nonce, acknowledged: nonce - 1 })).await;
        loop {
            match peer.message().await {
                AgentMessage::Pong(pong) if pong.nonce == nonce => break,
                AgentMessage::Report(report) => peer.ack(store.take(&report)).await,
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_31_a_server_that_hears_us_and_is_not_heard_is_left_and_leases_end_as_if_it_were_gone() {
    let dir = Dir::new();
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut store = Stored::default();
    let mut peer = server.session().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, Accepted::default(), HEARTBEAT_MS).await;
    let mut template = script("exec sleep 600");
    template["process"]["terminationGracePeriod"] = json!("1s");
    let mut web = assignment("web", "Service", json!({"template": template}));
    // Without the grace period and five seconds of margin: it is over after two.
    web["spec"]["lease"] = json!("8s");
    peer.desired(1, vec![web.clone()]).await;
    beat(&mut peer, &mut store, 1..=2).await;
    let runs = || -> Vec<bool> {
        let runs = std::fs::read_dir(dir.data().join("runs")).unwrap().flatten();
        runs.map(|run| matches!(drover_spawn::state::read(&run.path()), Ok(RunState::Started(_)))).collect()
    };
    let mut nonce = 3;
    while runs() != [true] {
        beat(&mut peer, &mut store, nonce..=nonce).await;
        nonce += 1;
    }
    // From here on nothing reaches the agent. What it says still arrives: it leaves all the same, and comes back.
    let silent = tokio::spawn(async move { while peer.next().await.is_some() {} });
    let mut second = server.session().await;
    tokio::time::timeout(PATIENCE, silent).await.expect("the silent session is over").unwrap();
    let hello = second.hello().await;
    assert_eq!(hello.desired_revision, Some(1));
    let ended = async {
        while runs() != [false] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the lease is over, however much the agent says");
    // The network is whole again.
    drop(second);
    let (mut peer, _) = server.welcome(store.accepted).await;
    peer.desired(2, vec![web]).await;
    beat(&mut peer, &mut store, 1..=2).await;
    let again = |seen: &crate::agent::Seen| (!seen.runs_in("web", "Running").is_empty()).then_some(());
    peer.until(&mut store, "it runs again", again).await;
    let reasons: Vec<&str> =
        store.seen.all.iter().filter_map(|run| run["status"]["reason"].as_str()).collect();
    assert!(reasons.contains(&"LeaseLost"), "{reasons:?}");
    assert_eq!(store.seen.runs.len(), 2, "{:?}", store.seen.runs);
}

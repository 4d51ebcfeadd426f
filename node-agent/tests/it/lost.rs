//! What an agent does without what it had stored: it never takes the loss for an order to end everything.

use std::time::Duration;

use drover_spawn::RunState;
use drover_wire::{Accepted, Desired, ServerMessage};
use serde_json::json;

use crate::agent::{Dir, Seen, assignment, desired_file, script, secret, text};
use crate::server::{Server, Stored};
use crate::sessions::Node;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_22_a_desired_state_that_cannot_be_read_ends_nothing_and_is_fetched_again() {
    for damage in [Some(&b"{\"assignments\": [{\"spec\": 7}]}"[..]), Some(b""), None] {
        let dir = Dir::new();
        let mut server = Server::start();
        let node = Node::start(&server, &dir.data());
        let mut store = Stored::default();
        let (mut peer, _) = server.welcome(Accepted::default()).await;
        let sleeper = |name: &str| assignment(name, "Service", json!({"template": script("exec sleep 600")}));
        peer.desired(1, vec![sleeper("kept"), sleeper("gone")]).await;
        let run = |name: &'static str| {
            move |seen: &Seen| seen.runs_in(name, "Running").first().map(|run| (*run).clone())
        };
        let kept = peer.until(&mut store, "the one", run("kept")).await;
        let gone = peer.until(&mut store, "the other", run("gone")).await;
        node.crash().await;
        drop(peer);
        let file = desired_file(&dir.data());
        match damage {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let runs = |run: &serde_json::Value| {
            let dir = dir.data().join("runs").join(text(run, "/metadata/uid"));
            matches!(drover_spawn::state::read(&dir), Ok(RunState::Started(_)))
        };
        // And once more, before it has been fetched.
        for _ in 0..2 {
            let node = Node::start(&server, &dir.data());
            let (mut peer, hello) = server.welcome(store.accepted).await;
            assert_eq!(hello.desired_revision, None, "the server would send changes only");
            peer.until(&mut store, "the word of it", |seen| seen.events.get("DesiredStateLost").map(drop))
                .await;
            assert!(runs(&kept) && runs(&gone));
            node.crash().await;
            store.seen.events.clear();
        }
        let _node = Node::start(&server, &dir.data());
        let (mut peer, _) = server.welcome(store.accepted).await;
        peer.desired(2, vec![sleeper("kept")]).await;
        peer.until(&mut store, "the end of the other", |seen| (seen.ended == ["gone-host-1"]).then_some(()))
            .await;
        assert!(runs(&kept) && !runs(&gone));
        let all: Vec<_> = store.seen.runs.keys().collect();
        assert_eq!(all.len(), 2, "something was started again: {:?}", store.seen.runs);
        let aside = dir.data().join("desired.unreadable");
        assert_eq!(std::fs::read(aside).ok().as_deref(), damage);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_cannot_be_unsealed_are_sent_again() {
    let dir = Dir::new();
    let mut server = Server::start();
    let mut template = script("printf %s \"$TOKEN\"; exec sleep 600");
    template["process"]["env"] =
        json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]);
    let web = assignment("web", "Service", json!({"template": template}));
    let state = |revision| {
        let materials = vec![secret("keys", &[("token", "s3cret")])];
        Desired { revision, full: true, assignments: vec![web.clone()], materials, ..Desired::default() }
    };
    let mut node = Node::start(&server, &dir.data());
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let mut store = Stored::default();
    peer.send(ServerMessage::Desired(Box::new(state(1)))).await;
    let up = |seen: &Seen| seen.runs_in("web", "Running").first().map(|run| (*run).clone());
    let run = peer.until(&mut store, "it runs", up).await;
    let (key, sealed) = (dir.data().join("node.key"), dir.data().join("materials"));
    let damages: [&dyn Fn(); 4] = [
        &|| std::fs::write(&sealed, "damaged").unwrap(),
        &|| std::fs::write(&key, "short").unwrap(),
        &|| std::fs::write(&key, [7; 32]).unwrap(),
        &|| std::fs::remove_file(&key).unwrap(),
    ];
    for (damage, revision) in damages.into_iter().zip(2..) {
        node.crash().await;
        damage();
        node = Node::start(&server, &dir.data());
        let (mut peer, hello) = server.welcome(store.accepted).await;
        assert_eq!(hello.desired_revision, None, "the server would not send them again");
        peer.send(ServerMessage::Desired(Box::new(state(revision)))).await;
        peer.until(&mut store, "it is as it should be", |seen| seen.is_ready("web").then_some(())).await;
        while !std::fs::read_to_string(desired_file(&dir.data()))
            .unwrap_or_default()
            .contains(&format!("\"revision\":{revision}"))
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    node.crash().await;
    let _node = Node::start(&server, &dir.data());
    let (_peer, hello) = server.welcome(store.accepted).await;
    assert_eq!(hello.desired_revision, Some(5), "nothing is damaged any more");
    assert_eq!(up(&store.seen).unwrap()["status"]["pid"], run["status"]["pid"]);
}

//! Another version of the agent on the same data directory.

use std::os::unix::fs::PermissionsExt;

use drover_world::World;
use serde_json::json;

use crate::agent::{Dir, Running, assignment, boot_id, script, text};
use crate::server::{Server, Stored};
use crate::sessions::Node;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_an_older_keeper_go_on_after_its_program_was_cleared_away() {
    let dir = Dir::new();
    let old = dir.data().join("keeper-0123456789abcdef");
    let install = |_: &std::path::Path| {
        std::fs::write(&old, drover_keeper_image::IMAGE)?;
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755))?;
        Ok(old.clone())
    };
    let mut agent = Running::start_with(&dir.data(), &boot_id(), World::system(), install);
    let go = dir.path().join("go");
    let body = format!("echo one; while [ ! -e {} ]; do sleep 0.02; done; echo two; exit 7", go.display());
    let long = assignment("long", "Task", json!({"template": script(&body)}));
    agent.wants(1, vec![long]).await;
    let run = agent.run("long", "Running").await;
    agent.crash().await;

    let mut server = Server::start();
    let mut node = Node::start(&server, &dir.data());
    let mut peer = server.session().await;
    let hello = peer.hello().await;
    // It has all that was acknowledged before.
    let mut store = Stored { accepted: hello.acknowledged.unwrap_or_default(), ..Stored::default() };
    peer.welcome(&hello, store.accepted, 10_000).await;
    let up = |seen: &crate::agent::Seen| seen.runs_in("long", "Running").first().map(|run| (*run).clone());
    let again = peer.until(&mut store, "it runs on", up).await;
    assert_eq!(again["status"]["pid"], run["status"]["pid"]);
    assert!(!old.exists() && drover_keeper_image::path(&dir.data()).exists());
    // The bytes of the program are gone from the directory for good, also for an agent that starts once more.
    node.crash().await;
    node = Node::start(&server, &dir.data());
    let (mut peer, _) = server.welcome(store.accepted).await;
    std::fs::write(go, "").unwrap();
    let ended = |seen: &crate::agent::Seen| seen.runs_in("long", "Failed").first().map(|run| (*run).clone());
    let ended = peer.until(&mut store, "its end", ended).await;
    assert_eq!(ended["status"]["exitCode"], 7);
    assert_eq!(text(&ended, "/status/outputTail"), "one\ntwo\n");
    drop(node);
}

//! A full disk: nothing crashes, nothing that was acknowledged or has ended is lost, and it heals by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use drover_wire::{Accepted, AgentMessage, DesiredAck, NodeFacts, Ping, ServerMessage};
use serde_json::json;

use crate::agent::{Running, assignment, end_all, script, text};
use crate::server::{Server, Stored};
use crate::sessions::Node;

/// A small file system in memory; unmounted when dropped.
struct Small(PathBuf, #[expect(dead_code, reason = "holds the directory")] tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("small");
        std::fs::create_dir(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path, dir))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        let block = [0_u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        end_all(&self.0.join("data"));
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_22_a_full_disk_neither_crashes_the_agent_nor_loses_what_ended() {
    let Some(small) = Small::mount() else {
        return println!("skipped: no small file system can be mounted here");
    };
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let data = small.0.join("data");
    let mut agent = Running::start(&data);
    let body = format!("while [ ! -e {} ]; do sleep 0.02; done; exit 7", go.display());
    let long = assignment("long", "Task", json!({"template": script(&body)}));
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let beat = assignment("beat", "Timer", json!({"every": "100ms", "template": script("true")}));
    agent.wants(1, vec![long, web.clone(), beat.clone()]).await;
    let run = agent.run("long", "Running").await;
    let first = agent.run("web", "Running").await;
    agent.run("beat", "Succeeded").await;
    let state = agent.state(&run);
    let desired =
        drover_wire::Desired { revision: 2, full: true, assignments: vec![web, beat], ..Default::default() };
    small.fill();
    assert!(agent.handle.desired("epoch", desired.clone()).await.is_err(), "it cannot be on disk");
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(1), "the old one stays in force");
    // One ends, one is killed, and the agent itself is restarted, all without a byte of room.
    std::fs::write(&go, "").unwrap();
    let keeper = state.started().unwrap().keeper;
    while keeper.open().unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    agent.state(&first).started().unwrap().signal_main(drover_spawn::process::Signal::KILL).unwrap();
    let seen = agent.crash().await;
    let mut agent = Running::start(&data);
    agent.seen = seen;
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(1));
    assert!(exists(&data.join("journal")));
    // A full disk has room in a file's last page.
    for cpus in 0.. {
        let facts = NodeFacts { hostname: "x".repeat(200), cpus, ..NodeFacts::default() };
        agent.handle.facts(facts).await.unwrap();
        if agent.handle.reports(None).await.unwrap().is_empty() {
            break;
        }
    }
    // The answer comes after another step, which was as futile.
    agent.handle.standing().await.unwrap();
    small.free();
    let ended = agent.run("long", "Failed").await;
    assert_eq!(ended.pointer("/status/exitCode"), Some(&json!(7)));
    let ended = agent.run("web", "Failed").await;
    assert_eq!(text(&ended, "/status/signal"), "SIGKILL");
    agent
        .until("a successor", |seen| {
            let running = seen.runs_in("web", "Running");
            running.iter().any(|run| run["metadata"]["uid"] != first["metadata"]["uid"]).then_some(())
        })
        .await;
    agent.until("the word of it", |seen| seen.events.get("DiskUnwritable").map(drop)).await;
    agent.handle.desired("epoch", desired).await.unwrap();
    agent.until("the rest", |seen| (seen.ended == ["long-host-1"]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_22_a_desired_state_that_a_full_disk_refuses_is_stored_later_in_the_same_session() {
    let Some(small) = Small::mount() else {
        return println!("skipped: no small file system can be mounted here");
    };
    let mut server = Server::start();
    let _node = Node::start(&server, &small.0.join("data"));
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    peer.desired(1, vec![web.clone()]).await;
    let up = |seen: &crate::agent::Seen| seen.runs_in("web", "Running").first().map(|run| (*run).clone());
    let run = peer.until(&mut store, "it runs", up).await;
    small.fill();
    let job = assignment("job", "Task", json!({"template": script("true")}));
    peer.desired(2, vec![web, job]).await;
    // It was looked at and not stored, and the session goes on.
    for nonce in 1..=3 {
        peer.send(ServerMessage::Ping(Ping { nonce, acknowledged: nonce - 1 })).await;
        loop {
            match peer.message().await {
                AgentMessage::Pong(pong) if pong.nonce == nonce => break,
                AgentMessage::DesiredAck(ack) => assert_eq!(ack.revision, 1, "it is not on disk"),
                AgentMessage::Report(report) => peer.ack(store.take(&report)).await,
                _ => {}
            }
        }
    }
    small.free();
    while peer.message().await != AgentMessage::DesiredAck(DesiredAck { revision: 2 }) {}
    peer.until(&mut store, "the task is done", |seen| seen.is_ready("job").then_some(())).await;
    assert_eq!(up(&store.seen).unwrap()["status"]["pid"], run["status"]["pid"]);
}

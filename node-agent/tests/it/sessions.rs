//! Laws of the session: nothing is lost, nothing is told twice, nothing needs it to go on.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drover_node_agent::{LockError, Machine, NodeOptions, RealMachine, ServerAddress, run_node};
use drover_wire::{
    Accepted, AgentMessage, Close, Desired, DesiredAck, NodeFacts, Ping, ServerMessage, Trigger,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::agent::{Dir, assignment, boottime, desired_file, end_all, lines, phase, script, text};
use crate::server::{Server, Stored};

/// A node of a server in this process; killed when dropped.
pub(crate) struct Node(JoinHandle<()>);

impl Node {
    pub(crate) fn start(server: &Server, data_dir: &Path) -> Self {
        let mut options = NodeOptions::new(ServerAddress::InProcess(server.dial()), "host-1", data_dir);
        options.credential = Some(server.credential("node-uid"));
        Self::with(options)
    }

    pub(crate) fn with(options: NodeOptions) -> Self {
        Self(tokio::spawn(async move { run_node(options, std::future::pending()).await.unwrap() }))
    }

    pub(crate) async fn crash(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn beat(log: &Path) -> serde_json::Value {
    let echo = script(&format!("echo $DROVER_RUN_UID >> {}", log.display()));
    let every = json!({"every": "100ms", "concurrencyPolicy": "Allow", "template": echo});
    assignment("beat", "Timer", every)
}

/// The host after it went down and came back.
struct AnotherBoot;

impl Machine for AnotherBoot {
    fn boot_id(&self) -> io::Result<String> {
        Ok("another-boot".into())
    }

    fn facts(&self) -> NodeFacts {
        RealMachine.facts()
    }

    fn lock(&self, data_dir: &Path) -> Result<Box<dyn Any + Send>, LockError> {
        RealMachine.lock(data_dir)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_30_a_node_that_reboots_while_it_is_cut_off_goes_on_from_disk_and_tells_each_run_once_in_order()
{
    let dir = Dir::new();
    let [log, up, boots] = ["log", "up", "boots"].map(|name| dir.path().join(name));
    let mut server = Server::start();
    let mut store = Stored::default();
    let node = Node::start(&server, &dir.data());
    let (mut peer, hello) = server.welcome(Accepted::default()).await;
    assert_eq!((hello.store_epoch, hello.desired_revision), (None, None));
    assert!(hello.facts.cpus > 0);
    let web = script(&format!("echo $DROVER_RUN_UID >> {}; exec sleep 600", up.display()));
    let boot = script(&format!("echo $DROVER_RUN_UID >> {}", boots.display()));
    let web = assignment("web", "Service", json!({"template": web}));
    let boot = assignment("boot", "Timer", json!({"onBoot": true, "template": boot}));
    peer.desired(1, vec![beat(&log), web, boot]).await;
    peer.until(&mut store, "some runs", |seen| {
        (seen.runs_in("beat", "Succeeded").len() > 3 && !seen.runs_in("web", "Running").is_empty())
            .then_some(())
    })
    .await;
    server.cut();
    let more = async |count: usize| {
        let before = lines(&log).len();
        while lines(&log).len() < before + count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    more(10).await;
    node.crash().await;
    end_all(&dir.data());
    let mut options = NodeOptions::new(ServerAddress::InProcess(server.dial()), "host-1", dir.data());
    options.credential = Some(server.credential("node-uid"));
    options.machine = Arc::new(AnotherBoot);
    let node = Node::with(options);
    more(5).await;
    while lines(&up).len() < 2 || lines(&boots).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.heal();
    let (mut peer, hello) = server.welcome(store.accepted).await;
    assert_eq!((hello.store_epoch.as_deref(), hello.desired_revision), (Some("epoch"), Some(1)));
    assert_eq!(hello.boot_id, "another-boot");
    peer.desired(2, Vec::new()).await;
    peer.until(&mut store, "the end", |seen| (seen.ended.len() == 3).then_some(())).await;
    drop(node);

    let over: Vec<_> =
        store.seen.all.iter().filter(|run| !["Pending", "Running"].contains(&phase(run))).collect();
    let mut told: Vec<&str> = over.iter().map(|run| text(run, "/metadata/uid")).collect();
    told.sort_unstable();
    let count = told.len();
    told.dedup();
    assert_eq!(told.len(), count, "the end of a run was told twice");
    for uid in &told {
        let told = store.seen.all.iter().filter(|run| text(run, "/metadata/uid") == *uid);
        let phases: Vec<&str> = told.map(phase).collect();
        let last = phases.last().copied();
        assert!(last.is_some_and(|last| !["Pending", "Running"].contains(&last)), "out of order: {phases:?}");
    }
    for uid in [&log, &up, &boots].into_iter().flat_map(|file| lines(file)) {
        assert!(told.binary_search(&&*uid).is_ok(), "{uid} ran and was not told of");
    }
    let mut ran = lines(&log);
    let good: Vec<_> = over.iter().filter(|run| phase(run) == "Succeeded").collect();
    ran.extend(lines(&boots));
    for run in &good {
        assert!(ran.iter().any(|uid| uid == text(run, "/metadata/uid")), "told of what never ran: {run}");
    }
    ran.sort_unstable();
    let count = ran.len();
    ran.dedup();
    assert_eq!(ran.len(), count, "a run was executed twice");
    assert_eq!(lines(&boots).len(), 1, "once per boot");
    let first = store.seen.runs.values().find(|run| text(run, "/metadata/uid") == lines(&up)[0]).unwrap();
    assert_eq!((phase(first), text(first, "/status/reason")), ("Lost", "HostRestarted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_acknowledged_comes_again_under_its_number_and_an_old_acknowledgement_changes_nothing() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    peer.desired(1, vec![beat(&log)]).await;
    let mut first = Vec::new();
    while first.len() < 8 {
        first.push(peer.report().await);
    }
    assert!(first.iter().zip(1..).all(|(report, sequence)| report.sequence == sequence));
    // Eight are under way: no ninth comes before one of them is acknowledged.
    let runs = lines(&log).len();
    while lines(&log).len() < runs + 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peer.send(ServerMessage::Ping(Ping { nonce: 1, acknowledged: 0 })).await;
    let next = peer.message().await;
    assert!(matches!(next, AgentMessage::Pong(_)), "{next:?}");
    drop(peer);
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    for report in &first {
        assert_eq!(peer.report().await, *report);
    }
    let at =
        |index: usize| Accepted { agent_epoch: first[index].agent_epoch, sequence: first[index].sequence };
    peer.ack(at(3)).await;
    peer.ack(at(1)).await;
    peer.ack(at(3)).await;
    assert_eq!(peer.report().await.sequence, 9);
    drop(peer);
    // The server had stored more than it could say.
    let (mut peer, _) = server.welcome(at(6)).await;
    assert_eq!(peer.report().await, first[7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desired_state_is_acknowledged_once_it_is_on_disk_and_changes_follow() {
    let dir = Dir::new();
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let sleeper = |name: &str| assignment(name, "Service", json!({"template": script("exec sleep 600")}));
    // Large enough for several chunks.
    let mut bulky = sleeper("bulky");
    bulky["metadata"]["annotations"] = json!({"a": "x".repeat(700_000)});
    let mut bulkier = sleeper("bulkier");
    bulkier["metadata"]["annotations"] = json!({"a": "y".repeat(700_000)});
    peer.desired(7, vec![bulky, bulkier]).await;
    let acked = |revision| AgentMessage::DesiredAck(DesiredAck { revision });
    while peer.message().await != acked(7) {}
    let stored = std::fs::read_to_string(desired_file(&dir.data())).unwrap();
    assert!(stored.contains("\"revision\":7") && stored.contains("bulkier"));
    let delta = Desired {
        revision: 9,
        assignments: vec![sleeper("web")],
        removed: vec!["bulky-assignment".into()],
        ..Desired::default()
    };
    peer.send(ServerMessage::Desired(Box::new(delta))).await;
    while peer.message().await != acked(9) {}
    drop(peer);
    let (mut peer, hello) = server.welcome(Accepted::default()).await;
    assert_eq!(hello.desired_revision, Some(9));
    peer.until(&mut store, "web", |seen| {
        (seen.is_ready("web") && seen.ended == ["bulky-host-1"]).then_some(())
    })
    .await;
    assert!(store.seen.is_ready("bulkier"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_left_and_found_again() {
    let dir = Dir::new();
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut silent = server.session().await;
    let hello = silent.hello().await;
    silent.welcome(&hello, Accepted::default(), 100).await;
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    assert!(silent.next().await.is_none(), "the first session is over");
    peer.send(ServerMessage::Ping(Ping { nonce: 1, acknowledged: 0 })).await;
    while !matches!(peer.message().await, AgentMessage::Pong(pong) if pong.nonce == 1) {}
    let asked = boottime();
    let close = Close { reason: "the server goes down".into(), retry_after_ms: Some(300) };
    peer.send(ServerMessage::Close(close)).await;
    server.session().await;
    assert!(boottime() >= asked + Duration::from_millis(300), "it came back before it was asked to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_is_answered_with_its_run_or_with_why_not() {
    let dir = Dir::new();
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let timer = json!({"at": "2200-01-01T00:00:00Z", "template": script("true")});
    peer.desired(1, vec![assignment("now", "Timer", timer)]).await;
    while !matches!(peer.message().await, AgentMessage::DesiredAck(_)) {}
    let mut results = Vec::new();
    for (request_id, uid) in [("r-1", "now-assignment"), ("r-2", "no-such"), ("r-1", "now-assignment")] {
        let trigger = Trigger { request_id: request_id.into(), assignment_uid: uid.into() };
        peer.send(ServerMessage::Trigger(trigger)).await;
        results.push(loop {
            match peer.message().await {
                AgentMessage::TriggerResult(result) => break result,
                AgentMessage::Report(report) => peer.ack(store.take(&report)).await,
                _ => {}
            }
        });
    }
    assert_eq!(results[0], results[2]);
    assert!(results[1].refused.is_some() && results[1].run.is_none());
    let name = results[0].run.clone().unwrap();
    let run = peer
        .until(&mut store, "its run", |seen| seen.runs_in("now", "Succeeded").first().map(|r| (*r).clone()))
        .await;
    assert_eq!(text(&run, "/metadata/name"), name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_begins_with_the_desired_state_of_a_session_and_not_with_a_stale_one() {
    let dir = Dir::new();
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let mut web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    web["spec"]["lease"] = json!("17s");
    peer.desired(1, vec![web]).await;
    peer.until(&mut store, "it runs", |seen| seen.is_ready("web").then_some(())).await;
    server.cut();
    // 17 s without the 10 s of grace and 5 s of margin: it is over after two.
    let state = || -> Vec<bool> {
        let runs = std::fs::read_dir(dir.data().join("runs")).unwrap().flatten();
        runs.map(|run| {
            matches!(drover_spawn::state::read(&run.path()).unwrap(), drover_spawn::RunState::Started(_))
        })
        .collect()
    };
    while state().contains(&true) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.heal();
    let (mut peer, _) = server.welcome(store.accepted).await;
    peer.send(ServerMessage::Ping(Ping { nonce: 1, acknowledged: 0 })).await;
    peer.send(ServerMessage::Ping(Ping { nonce: 2, acknowledged: 1 })).await;
    peer.until(&mut store, "it ended", |seen| {
        (seen.condition("web", "Ready")?.1 == "LeaseLost").then_some(())
    })
    .await;
    // It has moved meanwhile.
    peer.desired(2, Vec::new()).await;
    peer.until(&mut store, "it is gone", |seen| (!seen.ended.is_empty()).then_some(())).await;
    assert_eq!(store.seen.runs.len(), 1, "it was started again: {:?}", store.seen.runs);
}

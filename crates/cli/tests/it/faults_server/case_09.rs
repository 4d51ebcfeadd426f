//! A server that is killed under a thousand watchers and five hundred agents.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drover_client::{Client, Error, Message, WatchOptions};
use drover_wire::{
    AgentMessage, Assembler, Desired, DesiredAck, Frame, Hello, JoinRequest, JoinResponse, NodeFacts, Pong,
    SUBPROTOCOL, ServerMessage, WIRE_VERSION, join_path, session_path,
};
use drover_world::World;
use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::hub::{CONFIGMAPS, Hub, config_map, config_maps, name_of, revision_of, soon};

const WATCHERS: usize = 1000;
const AGENTS: usize = 500;
const TIMERS: &str = "/apis/drover.dev/v1/namespaces/default/timers";

/// Room for a file descriptor per connection, here and in the server, which inherits it.
fn room() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (WATCHERS + AGENTS) as u64 * 2;
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        eprintln!("skipped: {wanted} open files are not permitted here");
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_ok()
}

/// A moment that is another one for everybody.
async fn a_while() {
    let wait = Duration::from_millis(500).mul_f64(drover_world::unit(&*World::system().entropy));
    tokio::time::sleep(wait).await;
}

/// Follows the ConfigMaps until `end` comes, across whatever happens to the server: names and revisions as told.
async fn follow(client: Client, mut position: u64, ready: Arc<AtomicUsize>) -> Vec<(String, u64)> {
    let mut told = Vec::new();
    let mut first = true;
    loop {
        let from = Some(position.to_string());
        let options = WatchOptions { resource_version: from, ..WatchOptions::default() };
        let Ok(mut watch) = client.watch(CONFIGMAPS, &options).await else {
            a_while().await;
            continue;
        };
        if std::mem::take(&mut first) {
            ready.fetch_add(1, Ordering::SeqCst);
        }
        while let Ok(Some(event)) = watch.next().await {
            let object: Value = event.object().unwrap();
            assert!(revision_of(&object) > position, "it went back");
            position = revision_of(&object);
            told.push((name_of(&object), position));
            if told.last().is_some_and(|(name, _)| name == "end") {
                return told;
            }
        }
        a_while().await;
    }
}

/// What a node has on its disk.
#[derive(Default)]
struct Held {
    epoch: Option<String>,
    revision: Option<u64>,
    assignments: Vec<Value>,
    /// States that came as a whole.
    whole: usize,
}

impl Held {
    fn has(&self, timer: &str) -> bool {
        self.assignments.iter().any(|assignment| assignment["spec"]["workloadRef"]["name"] == timer)
    }

    fn store(&mut self, desired: Desired) {
        let uid = |assignment: &Value| assignment["metadata"]["uid"].as_str().unwrap().to_owned();
        if desired.full {
            self.assignments.clear();
            self.whole += 1;
        }
        let replaced: Vec<String> = desired.assignments.iter().map(uid).chain(desired.removed).collect();
        self.assignments.retain(|held| !replaced.contains(&uid(held)));
        self.assignments.extend(desired.assignments);
        self.revision = Some(desired.revision);
    }
}

struct Node {
    name: String,
    uid: String,
    client: Client,
}

/// Holds one session until it has the second timer, or the session ends; counts who has the first one.
async fn session(node: &Node, held: &mut Held, ready: &AtomicUsize) -> Result<(), Error> {
    let socket = node.client.open_websocket(&session_path(&node.name), &[SUBPROTOCOL]).await?;
    let (mut sender, mut receiver) = socket.split();
    let hello = Hello {
        wire: WIRE_VERSION,
        node_name: node.name.clone(),
        node_uid: Some(node.uid.clone()),
        boot_id: "boot".into(),
        agent_version: "0".into(),
        store_epoch: held.epoch.clone(),
        desired_revision: held.revision,
        open_runs: None,
        acknowledged: None,
        agent_epoch: 1,
        labels: Default::default(),
        facts: NodeFacts::default(),
    };
    let frame = |message: &AgentMessage| Frame::control(message).unwrap().encode().unwrap();
    sender.send(frame(&AgentMessage::Hello(Box::new(hello)))).await?;
    let mut assembler = Assembler::default();
    while !held.has("after") {
        let bytes = match receiver.next().await? {
            Some(Message::Binary(bytes)) => bytes,
            Some(Message::Alive) => continue,
            _ => return Ok(()),
        };
        let size = bytes.len();
        match Frame::decode(bytes).unwrap().message::<ServerMessage>().unwrap() {
            ServerMessage::Welcome(welcome) => held.epoch = Some(welcome.store_epoch),
            ServerMessage::Desired(chunk) => {
                if let Some(whole) = assembler.push(*chunk, size).unwrap() {
                    let revision = whole.revision;
                    let before = held.has("before");
                    held.store(whole);
                    if !before && held.has("before") {
                        ready.fetch_add(1, Ordering::SeqCst);
                    }
                    sender.send(frame(&AgentMessage::DesiredAck(DesiredAck { revision }))).await?;
                }
            }
            ServerMessage::Ping(ping) => {
                sender.send(frame(&AgentMessage::Pong(Pong { nonce: ping.nonce }))).await?;
            }
            ServerMessage::Close(close) => {
                tokio::time::sleep(Duration::from_millis(close.retry_after_ms.unwrap_or(0))).await;
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}

/// An agent that comes back until it has both timers.
async fn agent(node: Node, ready: Arc<AtomicUsize>) -> Held {
    let mut held = Held::default();
    while !held.has("after") {
        if session(&node, &mut held, &ready).await.is_err() {
            a_while().await;
        }
    }
    held
}

async fn join(hub: &Hub, token: &str, index: usize) -> Node {
    let name = format!("n{index}");
    let request = JoinRequest { host_id: format!("{index:032x}"), labels: Default::default() };
    let joining = hub.client().with_token(token).unwrap();
    let joined: JoinResponse = joining.create(&join_path(&name), &request).await.unwrap();
    let client = joining.with_token(&joined.token).unwrap();
    Node { name, uid: joined.node_uid, client }
}

async fn timer(client: &Client, name: &str) {
    let body = json!({
        "metadata": {"name": name},
        "spec": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}},
    });
    client.create::<_, Value>(TIMERS, &body).await.unwrap();
}

async fn until(what: &str, count: &AtomicUsize, wanted: usize) {
    soon(what, async {
        while count.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_09_after_a_kill_1000_watchers_and_500_agents_come_back_and_miss_nothing() {
    if !room() {
        return;
    }
    let mut hub = Hub::running();
    let client = hub.client();
    let token: Value = client.create("/apis/drover.dev/v1/tokens", &json!({"role": "node"})).await.unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    let nodes: Vec<Node> =
        stream::iter(0..AGENTS).map(|index| join(&hub, &token, index)).buffered(16).collect().await;
    timer(&client, "before").await;

    let (following, ready) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let agents: Vec<_> = nodes.into_iter().map(|node| tokio::spawn(agent(node, ready.clone()))).collect();
    let first: Value = client.create(CONFIGMAPS, &config_map("begin", "v")).await.unwrap();
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| tokio::spawn(follow(client.clone(), revision_of(&first), following.clone())))
        .collect();
    until("everybody follows", &following, WATCHERS).await;
    until("every agent has its first state", &ready, AGENTS).await;

    // Writes go on until the server is gone, and begin again as soon as it is back.
    let write = async |client: &Client, name: String| {
        client.create::<_, Value>(CONFIGMAPS, &config_map(&name, "v")).await
    };
    for index in 0..20 {
        write(&client, format!("a{index}")).await.unwrap();
    }
    let late = {
        let client = client.clone();
        tokio::spawn(async move {
            let mut index = 0;
            while write(&client, format!("b{index}")).await.is_ok() {
                index += 1;
            }
        })
    };
    tokio::task::yield_now().await;
    hub.kill();
    late.await.unwrap();
    hub.start();
    timer(&client, "after").await;
    for index in 0..20 {
        write(&client, format!("c{index}")).await.unwrap();
    }
    write(&client, "end".into()).await.unwrap();

    let there: BTreeSet<(String, u64)> = config_maps(&client)
        .await
        .iter()
        .filter(|object| name_of(object) != "begin")
        .map(|object| (name_of(object), revision_of(object)))
        .collect();
    for watcher in watchers {
        let told = soon("a watcher is told all", watcher).await.unwrap();
        let set: BTreeSet<(String, u64)> = told.iter().cloned().collect();
        assert_eq!(set.len(), told.len(), "something was told twice");
        assert_eq!(set, there, "something was missed, or never was");
    }
    for agent in agents {
        let held = soon("an agent has its second state", agent).await.unwrap();
        assert!(held.has("before") && held.assignments.len() == 2, "{}", held.assignments.len());
        assert!(held.whole <= 1, "what it had was sent again");
    }
}

//! To a server, as an agent that says anything.

use std::sync::Arc;
use std::time::Duration;

use drover_client::{Client, Message, WebSocketReceiver, WebSocketSender};
use drover_testkit::clock::{Origin, SimClock};
use drover_testkit::disk::SimDisk;
use drover_testkit::history::History;
use drover_testkit::life::Life;
use drover_testkit::net::{Link, Quality, SimDial};
use drover_testkit::part::ServerSite;
use drover_testkit::seed::Seed;
use drover_wire::{
    AgentMessage, DesiredAck, Frame, JoinRequest, JoinResponse, Pong, ReportAck, SUBPROTOCOL, ServerMessage,
    join_path, session_path,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Deed, REST, framed, message, read};
use crate::virtual_time::{in_virtual_time, within_an_hour};

const SEED: Seed = Seed(1);
const OWN: &str = "/apis/drover.dev/v1/namespaces/default";

/// A server with one node, and what the node has to do.
struct Scene {
    server: ServerSite,
    link: Link,
    node: JoinResponse,
    assignment: String,
    _parts: JoinSet<()>,
}

/// A session from its beginning: what is sent goes to `out`, what comes is kept.
struct Session {
    out: WebSocketSender,
    came: mpsc::UnboundedReceiver<ServerMessage>,
    heard: Vec<ServerMessage>,
    /// Ends with the session.
    reading: tokio::task::JoinHandle<()>,
}

/// What is acknowledged was reported in this session, in this order; what was reported is acknowledged while the session
/// lasts; and whatever was said, the next session of the node begins.
pub(crate) fn to_server(script: &[u8]) {
    in_virtual_time(async {
        let scene = Scene::new().await;
        let words = [
            ("$HELLO", scene.hello()["hello"].to_string()),
            ("$NODE", scene.node.node_uid.clone()),
            ("$ASSIGNMENT", scene.assignment.clone()),
        ];
        let mut session = scene.session().await;
        let mut reported = Vec::new();
        for deed in read(script, &words) {
            let frame = match deed {
                Deed::Wait(time) => {
                    tokio::time::sleep(time).await;
                    continue;
                }
                Deed::Send(frame) => frame,
                Deed::Answer => {
                    tokio::time::sleep(REST).await;
                    session.drain();
                    let Some(answer) = session.heard.iter().rev().find_map(answer) else { continue };
                    framed(&answer)
                }
            };
            if let Some(AgentMessage::Report(report)) = message(&frame) {
                reported.push(ReportAck { agent_epoch: report.agent_epoch, sequence: report.sequence });
            }
            let sent = tokio::time::timeout(Duration::from_secs(60), session.out.send(frame)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        tokio::time::sleep(REST).await;
        session.drain();
        let acks = session.heard.iter().filter_map(|heard| match heard {
            ServerMessage::ReportAck(ack) => Some(*ack),
            _ => None,
        });
        let acknowledged: Vec<ReportAck> = acks.collect();
        assert!(reported.starts_with(&acknowledged), "{acknowledged:?} of {reported:?}");
        if !session.reading.is_finished() {
            assert_eq!(acknowledged, reported, "while the session lasts");
        }
        drop(session);
        let mut next = scene.session().await;
        let hello: AgentMessage = serde_json::from_value(scene.hello()).expect("a hello is one");
        next.out.send(framed(&hello)).await.expect("the server listens");
        let first = within_an_hour("a welcome", next.came.recv()).await;
        assert!(matches!(first, Some(ServerMessage::Welcome(_))), "{first:?}");
    });
}

impl Session {
    fn drain(&mut self) {
        while let Ok(came) = self.came.try_recv() {
            self.heard.push(came);
        }
    }
}

/// What a good agent says to it.
fn answer(heard: &ServerMessage) -> Option<AgentMessage> {
    match heard {
        ServerMessage::Desired(chunk) => {
            Some(AgentMessage::DesiredAck(DesiredAck { revision: chunk.revision }))
        }
        ServerMessage::Ping(ping) => Some(AgentMessage::Pong(Pong { nonce: ping.nonce })),
        _ => None,
    }
}

impl Scene {
    async fn new() -> Self {
        let origin = Origin::here(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(500_000));
        let history = History::new(origin, 1, Vec::new());
        let clock = SimClock::new(origin, Duration::from_secs(1000));
        let server = ServerSite::new(SEED, history, clock, SimDisk::default());
        let link = Link::new(Quality::near(), SEED.dice("link"));
        let mut parts = JoinSet::new();
        parts.spawn(server.clone().run(vec![link.clone()]));
        let (_, admin, controller) = server.up().await;
        let call = |token: &str| client(&server, &link, token);
        let token: Value = call(&admin)
            .create("/apis/drover.dev/v1/tokens", &json!({"role": "node"}))
            .await
            .expect("a token to join");
        let request = JoinRequest { host_id: "0".repeat(32), ..JoinRequest::default() };
        let token = token["token"].as_str().unwrap_or_default();
        let node: JoinResponse = call(token).create(&join_path("n"), &request).await.expect("it joins");
        let timer = json!({"every": "1h", "template": {"process": {"command": ["/bin/true"]}}});
        let body = json!({"metadata": {"name": "t"}, "spec": timer});
        let made: Value = call(&admin).create(&format!("{OWN}/timers"), &body).await.expect("a timer");
        let of = json!({
            "kind": "Timer", "name": "t", "uid": made["metadata"]["uid"],
            "generation": made["metadata"]["generation"],
        });
        let body = json!({"metadata": {"name": "a"}, "spec": {
            "nodeName": "n", "nodeUid": node.node_uid, "workloadRef": of, "timer": timer,
        }});
        let made: Value =
            call(&controller).create(&format!("{OWN}/assignments"), &body).await.expect("an assignment");
        let assignment = made["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        Self { server, link, node, assignment, _parts: parts }
    }

    /// A hello of the node as it is after it has lost everything.
    fn hello(&self) -> Value {
        json!({"hello": {
            "wire": {"major": 1, "minor": 0}, "nodeName": "n", "nodeUid": self.node.node_uid, "bootId": "b",
            "agentVersion": "1", "agentEpoch": 1, "facts": {},
        }})
    }

    async fn session(&self) -> Session {
        let client = client(&self.server, &self.link, &self.node.token);
        let path = session_path("n");
        let opened = within_an_hour("a session", client.open_websocket(&path, &[SUBPROTOCOL])).await;
        let (out, mut from) = opened.expect("the node's credential is good").split();
        let (told, came) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Some(message) = next(&mut from).await {
                let _ = told.send(message);
            }
        });
        Session { out, came, heard: Vec::new(), reading }
    }
}

/// The next control message; none at the end of the session.
async fn next(from: &mut WebSocketReceiver) -> Option<ServerMessage> {
    loop {
        match from.next().await {
            Ok(Some(Message::Binary(bytes))) => {
                let frame = Frame::decode(bytes).expect("a server speaks its wire");
                return match frame.message().expect("it opens no streams by itself") {
                    ServerMessage::Close(_) => None,
                    other => Some(other),
                };
            }
            Ok(Some(Message::Alive)) => {}
            Ok(Some(Message::Text(_) | Message::Close { .. }) | None) | Err(_) => return None,
        }
    }
}

fn client(server: &ServerSite, link: &Link, token: &str) -> Client {
    let life = Life::new(SimDisk::default());
    let dial = SimDial { life, link: link.clone(), far: Arc::new(server.clone()) };
    let client = Client::new(Arc::new(dial), "sim").and_then(|client| client.with_token(token));
    client.expect("host and token are header values").with_entropy(Arc::new(SEED.entropy("client")))
}

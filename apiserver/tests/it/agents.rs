//! An agent that speaks the wire, as far as a test tells it to.

use drover_client::{Message, WebSocketReceiver, WebSocketSender};
use drover_types::Kind;
use drover_wire::{
    AgentMessage, Assembler, Body, Close, Desired, DesiredAck, Frame, Hello, JoinResponse, NodeFacts, Pong,
    Report, ReportAck, ReportItem, SUBPROTOCOL, ServerMessage, WIRE_VERSION, Welcome, session_path,
};
use serde_json::{Value, json};

use crate::cluster::Cluster;

pub(crate) struct Agent {
    pub(crate) node: String,
    pub(crate) sender: WebSocketSender,
    receiver: WebSocketReceiver,
    pub(crate) welcome: Welcome,
}

pub(crate) fn hello(node: &str) -> Hello {
    Hello {
        wire: WIRE_VERSION,
        node_name: node.into(),
        node_uid: None,
        boot_id: "boot-1".into(),
        agent_version: "0.1.0".into(),
        store_epoch: None,
        desired_revision: None,
        open_runs: None,
        acknowledged: None,
        agent_epoch: 1,
        labels: [("drover.dev/role".to_owned(), "server".to_owned())].into(),
        facts: NodeFacts {
            os: "Debian".into(),
            arch: "x86_64".into(),
            cpus: 2,
            memory_bytes: 4 << 30,
            hostname: node.into(),
            ..NodeFacts::default()
        },
    }
}

/// A connection that has said hello and heard nothing yet.
pub(crate) async fn greet(cluster: &Cluster, credential: &JoinResponse, hello: Hello) -> Agent {
    let node = hello.node_name.clone();
    let client = cluster.client(&credential.token);
    let socket = client.open_websocket(&session_path(&node), &[SUBPROTOCOL]).await.unwrap();
    assert_eq!(socket.protocol(), Some(SUBPROTOCOL));
    let (sender, receiver) = socket.split();
    let welcome = Welcome {
        wire: WIRE_VERSION,
        node_uid: String::new(),
        store_epoch: String::new(),
        heartbeat_interval_ms: 0,
        offline_after_ms: 0,
        accepted: drover_wire::Accepted::default(),
    };
    let mut agent = Agent { node, sender, receiver, welcome };
    agent.tell(AgentMessage::Hello(Box::new(hello))).await;
    agent
}

/// A session that was welcomed.
pub(crate) async fn connect(cluster: &Cluster, node: &str, credential: &JoinResponse) -> Agent {
    connect_as(cluster, credential, hello(node)).await
}

pub(crate) async fn connect_as(cluster: &Cluster, credential: &JoinResponse, hello: Hello) -> Agent {
    let mut agent = greet(cluster, credential, hello).await;
    match agent.next().await {
        ServerMessage::Welcome(welcome) => agent.welcome = welcome,
        other => panic!("not welcome: {other:?}"),
    }
    agent
}

impl Agent {
    pub(crate) async fn tell(&mut self, message: AgentMessage) {
        self.frame(Frame::control(&message).unwrap()).await;
    }

    pub(crate) async fn frame(&mut self, frame: Frame) {
        self.sender.send(frame.encode().unwrap()).await.unwrap();
    }

    /// The next frame, unanswered; none when the connection is over.
    pub(crate) async fn frame_or_end(&mut self) -> Option<Frame> {
        loop {
            match self.receiver.next().await {
                Ok(Some(Message::Binary(bytes))) => return Some(Frame::decode(bytes).unwrap()),
                Ok(Some(Message::Alive)) => {}
                Ok(Some(Message::Close { .. }) | None) | Err(_) => return None,
                Ok(Some(other)) => panic!("{other:?}"),
            }
        }
    }

    /// The next frame that is no ping; pings are answered.
    pub(crate) async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let frame = self.frame_or_end().await?;
            let ping = match &frame.body {
                Body::Control(_) => match frame.message().unwrap() {
                    ServerMessage::Ping(ping) => ping,
                    _ => return Some(frame),
                },
                _ => return Some(frame),
            };
            let pong = Frame::control(&AgentMessage::Pong(Pong { nonce: ping.nonce })).unwrap();
            // The server may have closed meanwhile; what it said before that is still to be read.
            let _ = self.sender.send(pong.encode().unwrap()).await;
        }
    }

    pub(crate) async fn next(&mut self) -> ServerMessage {
        self.next_frame().await.expect("the session stands").message().unwrap()
    }

    /// The next whole desired state, stored.
    pub(crate) async fn desired(&mut self) -> Desired {
        let mut assembler = Assembler::default();
        loop {
            let ServerMessage::Desired(chunk) = self.next().await else { panic!("not a desired state") };
            if let Some(whole) = assembler.push(*chunk, 1).unwrap() {
                self.tell(AgentMessage::DesiredAck(DesiredAck { revision: whole.revision })).await;
                return whole;
            }
        }
    }

    /// The reason that the server gives as it closes.
    pub(crate) async fn close(&mut self) -> Close {
        while let Some(frame) = self.next_frame().await {
            if let Body::Control(_) = frame.body
                && let ServerMessage::Close(close) = frame.message().unwrap()
            {
                assert_eq!(self.next_frame().await, None, "nothing follows");
                return close;
            }
        }
        panic!("it ended without a word");
    }

    /// Reports, and waits for the acknowledgement.
    pub(crate) async fn report(&mut self, agent_epoch: u64, sequence: u64, items: Vec<ReportItem>) {
        self.tell(AgentMessage::Report(Report { agent_epoch, sequence, items })).await;
        loop {
            match self.next().await {
                ServerMessage::ReportAck(ack) => {
                    assert_eq!(ack, ReportAck { agent_epoch, sequence });
                    return;
                }
                // What the report changed may come back as news.
                ServerMessage::Desired(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reports a Run.
    pub(crate) fn run(&self, name: &str, uid: &str, assignment: &Value, phase: &str) -> ReportItem {
        let object = json!({
            "apiVersion": "drover.dev/v1", "kind": "Run",
            "metadata": {
                "name": name, "namespace": "default", "uid": uid, "labels": {"forged": "yes"},
                "resourceVersion": "77", "finalizers": ["a.b/forged"],
                "ownerReferences": [{
                    "apiVersion": "drover.dev/v1", "kind": "Assignment",
                    "name": assignment["metadata"]["name"], "uid": assignment["metadata"]["uid"],
                }],
            },
            "spec": {
                "nodeName": self.node, "assignmentRef": assignment["metadata"]["name"], "attempt": 1,
                "workloadRef": {"kind": "Timer", "name": "forged", "uid": "forged", "generation": 1},
            },
            "status": {"phase": phase, "exitCode": 0},
        });
        ReportItem::Run { object }
    }
}

pub(crate) fn node_path(node: &str) -> String {
    format!("{}/{node}", Kind::Node.path(None))
}

pub(crate) fn run_path(run: &str) -> String {
    format!("{}/{run}", Kind::Run.path(Some("default")))
}

//! A real agent on a simulated host, and the server's end of its sessions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drover_client::{BoxStream, FnDial};
use drover_node_agent::{NodeError, NodeOptions, ServerAddress, run_node};
use drover_testkit::clock::{Origin, SimClock};
use drover_testkit::disk::SimDisk;
use drover_testkit::history::History;
use drover_testkit::host::{Port, SimHost, SimMachine};
use drover_testkit::life::{LaterOn, Life};
use drover_testkit::seed::Seed;
use drover_wire::{AgentMessage, Frame, Hello, JoinResponse, SUBPROTOCOL};
use drover_world::World;
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::virtual_time::within_an_hour;

const SEED: Seed = Seed(1);
/// Where the agent keeps everything.
pub(crate) const DATA_DIR: &str = "/var/lib/drover";

/// The agent, which ends with this.
pub(crate) struct AgentSite {
    /// Its disk.
    pub(crate) disk: SimDisk,
    dialled: mpsc::UnboundedReceiver<DuplexStream>,
    running: JoinHandle<Result<(), NodeError>>,
}

impl Drop for AgentSite {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl AgentSite {
    /// Starts it on a disk. It is the node of this uid.
    pub(crate) fn start(disk: SimDisk, node_uid: &str) -> Self {
        let origin = Origin::here(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(500_000));
        let history = History::new(origin, 1, Vec::new());
        let clock = SimClock::new(origin, Duration::from_secs(1000));
        let host = SimHost::new(0, SEED, clock.clone(), Arc::new(disk.clone()), history);
        let life = Life::new(disk.clone());
        let (dialled, connections) = mpsc::unbounded_channel();
        let dial = FnDial(move || {
            let (near, far) = tokio::io::duplex(256 << 10);
            dialled.send(far).map_err(|_| std::io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(near) as BoxStream)
        });
        let options = NodeOptions {
            server: ServerAddress::InProcess(Arc::new(dial)),
            node_name: "n".into(),
            data_dir: PathBuf::from(DATA_DIR),
            search_path: "/bin".into(),
            join_token: None,
            credential: Some(JoinResponse { node_uid: node_uid.into(), token: "token".into() }),
            labels: BTreeMap::new(),
            world: World {
                clock: Arc::new(clock),
                entropy: Arc::new(SEED.entropy("agent")),
                blocking: Arc::new(LaterOn(life.clone())),
            },
            disk: Arc::new(disk.clone()),
            host: Some(Arc::new(Port { host: host.clone(), life })),
            machine: Arc::new(SimMachine(host)),
        };
        let running = tokio::spawn(run_node(options, std::future::pending()));
        Self { disk, dialled: connections, running }
    }

    /// The next connection that the agent has not given up meanwhile; none if it has refused to start.
    async fn connection(&mut self) -> Option<WebSocketStream<DuplexStream>> {
        loop {
            let stream = tokio::select! {
                biased;
                ended = &mut self.running => {
                    let ended = ended.expect("the agent panicked");
                    assert!(ended.is_err(), "the agent ended by itself");
                    return None;
                }
                stream = within_an_hour("the agent's session", self.dialled.recv()) => stream?,
            };
            if let Ok(opened) = tokio_tungstenite::accept_hdr_async(stream, choose).await {
                return Some(opened);
            }
        }
    }

    /// Waits for the agent's next session, which has said hello; none if it has refused to start, or to speak.
    pub(crate) async fn session(&mut self) -> Option<(Peer, Hello)> {
        let (out, mut from) = self.connection().await?.split();
        let (told, came) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = from.next().await {
                if let tungstenite::Message::Binary(bytes) = message {
                    let _ = told.send(Frame::decode(bytes).expect("an agent speaks its wire"));
                }
            }
        });
        let mut peer = Peer { out, came, reading };
        let first = within_an_hour("a hello", peer.came.recv()).await;
        // It has nothing to say that this wire takes: of what it found in its journal.
        let first = first?;
        match first.message().ok() {
            Some(AgentMessage::Hello(hello)) => Some((peer, *hello)),
            other => panic!("no hello, but {other:?}"),
        }
    }
}

/// As an apiserver answers.
#[expect(clippy::result_large_err, reason = "as the library asks for it")]
fn choose(_: &Request, mut answer: Response) -> Result<Response, ErrorResponse> {
    let protocol = SUBPROTOCOL.parse().expect("a header value");
    answer.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(answer)
}

/// The server's end of one session.
pub(crate) struct Peer {
    out: futures_util::stream::SplitSink<WebSocketStream<DuplexStream>, tungstenite::Message>,
    /// What came after the hello.
    pub(crate) came: mpsc::UnboundedReceiver<Frame>,
    reading: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Peer {
    /// Sends a frame; false if the agent has left.
    pub(crate) async fn send(&mut self, frame: Bytes) -> bool {
        let sending = self.out.send(tungstenite::Message::Binary(frame));
        matches!(tokio::time::timeout(Duration::from_secs(60), sending).await, Ok(Ok(())))
    }
}

//! The server's side of the wire, as small as it can be: joins hosts, hands its sessions to the test.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use drover_client::{BoxStream, Dial};
use drover_wire::{
    Accepted, AgentMessage, Body, Desired, Frame, Hello, JoinRequest, JoinResponse, Report, ReportAck,
    SUBPROTOCOL, ServerMessage, WIRE_VERSION, Welcome,
};
use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::agent::{PATIENCE, Seen};

struct Inner {
    up: AtomicBool,
    /// Changes when all connections are cut.
    cuts: watch::Sender<u64>,
    /// Node credentials, and the uid of the Node that each is for.
    credentials: Mutex<BTreeMap<String, String>>,
    join_tokens: Mutex<BTreeSet<String>>,
    joined: Mutex<Vec<JoinRequest>>,
    sessions: mpsc::Sender<Peer>,
}

/// A server that can be cut off.
pub(crate) struct Server {
    inner: Arc<Inner>,
    sessions: mpsc::Receiver<Peer>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let (sender, sessions) = mpsc::channel(8);
        let inner = Arc::new(Inner {
            up: AtomicBool::new(true),
            cuts: watch::channel(0).0,
            credentials: Mutex::default(),
            join_tokens: Mutex::default(),
            joined: Mutex::default(),
            sessions: sender,
        });
        Self { inner, sessions }
    }

    pub(crate) fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(Wire(Arc::clone(&self.inner)))
    }

    /// Lets hosts join with this token.
    pub(crate) fn allow(&self, token: &str) {
        self.inner.join_tokens.lock().unwrap().insert(token.to_owned());
    }

    pub(crate) fn joined(&self) -> Vec<JoinRequest> {
        self.inner.joined.lock().unwrap().clone()
    }

    /// A credential for the node of this uid.
    pub(crate) fn credential(&self, node_uid: &str) -> JoinResponse {
        let token = format!("drk_{node_uid}");
        self.inner.credentials.lock().unwrap().insert(token.clone(), node_uid.to_owned());
        JoinResponse { node_uid: node_uid.to_owned(), token }
    }

    /// No Node of before is known any more.
    pub(crate) fn forget_nodes(&self) {
        self.inner.credentials.lock().unwrap().clear();
    }

    /// Breaks every connection, and takes no new one.
    pub(crate) fn cut(&self) {
        self.inner.up.store(false, Ordering::SeqCst);
        self.inner.cuts.send_modify(|cut| *cut += 1);
    }

    pub(crate) fn heal(&self) {
        self.inner.up.store(true, Ordering::SeqCst);
    }

    /// The next session that an agent opens.
    pub(crate) async fn session(&mut self) -> Peer {
        let session = tokio::time::timeout(PATIENCE, self.sessions.recv()).await;
        session.expect("an agent opens a session").unwrap()
    }

    /// The next session, welcomed by a server that has stored reports up to here.
    pub(crate) async fn welcome(&mut self, accepted: Accepted) -> (Peer, Hello) {
        let mut peer = self.session().await;
        let hello = peer.hello().await;
        peer.welcome(&hello, accepted, 10_000).await;
        (peer, hello)
    }

    /// Answers the requests of one connection.
    pub(crate) fn serve(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        serve(Arc::clone(&self.inner), io);
    }
}

struct Wire(Arc<Inner>);

impl Dial for Wire {
    fn dial(&self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            if !self.0.up.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            serve(Arc::clone(&self.0), theirs);
            Ok(Box::new(ours) as BoxStream)
        })
    }
}

fn serve(inner: Arc<Inner>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let mut cuts = inner.cuts.subscribe();
    let router = Router::new()
        .route("/apis/drover.dev/v1/nodes/{node}/join", post(join))
        .route("/apis/drover.dev/v1/nodes/{node}/session", get(session))
        .with_state(inner);
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::spawn(async move {
        tokio::select! {
            _ = cuts.changed() => {}
            _ = connection => {}
        }
    });
}

fn bearer(headers: &HeaderMap) -> String {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.trim_start_matches("Bearer ").to_owned()
}

fn unauthorized() -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401,
        "reason": "Unauthorized", "message": "the token is not known"});
    (StatusCode::UNAUTHORIZED, axum::Json(status)).into_response()
}

async fn join(
    State(inner): State<Arc<Inner>>,
    Path(node): Path<String>,
    headers: HeaderMap,
    axum::Json(request): axum::Json<JoinRequest>,
) -> Response {
    if !inner.join_tokens.lock().unwrap().contains(&bearer(&headers)) {
        return unauthorized();
    }
    let mut joined = inner.joined.lock().unwrap();
    joined.push(request);
    let node_uid = format!("{node}-uid-{}", joined.len());
    let token = format!("drk_{node_uid}");
    inner.credentials.lock().unwrap().insert(token.clone(), node_uid.clone());
    (StatusCode::CREATED, axum::Json(JoinResponse { node_uid, token })).into_response()
}

async fn session(State(inner): State<Arc<Inner>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let Some(node_uid) = inner.credentials.lock().unwrap().get(&bearer(&headers)).cloned() else {
        return unauthorized();
    };
    upgrade.protocols([SUBPROTOCOL]).on_upgrade(move |socket| hand_over(inner, node_uid, socket))
}

async fn hand_over(inner: Arc<Inner>, node_uid: String, mut socket: WebSocket) {
    let (to, mut sending) = mpsc::channel::<Frame>(64);
    let (receiving, from) = mpsc::channel::<Frame>(64);
    let mut cuts = inner.cuts.subscribe();
    let _ = inner.sessions.send(Peer { to, from, node_uid }).await;
    loop {
        tokio::select! {
            _ = cuts.changed() => return,
            frame = sending.recv() => {
                let Some(frame) = frame else { return };
                if socket.send(Message::Binary(frame.encode().unwrap())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    if receiving.send(Frame::decode(bytes).unwrap()).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

/// The server's end of one session. Dropping it breaks the connection.
pub(crate) struct Peer {
    to: mpsc::Sender<Frame>,
    from: mpsc::Receiver<Frame>,
    pub(crate) node_uid: String,
}

impl Peer {
    pub(crate) async fn send(&self, message: ServerMessage) {
        self.frame(Frame::control(&message).unwrap()).await;
    }

    pub(crate) async fn frame(&self, frame: Frame) {
        let _ = self.to.send(frame).await;
    }

    /// The next frame; none when the agent has left.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.from.recv()).await.expect("the agent says something")
    }

    pub(crate) async fn message(&mut self) -> AgentMessage {
        self.next().await.expect("the session stands").message().unwrap()
    }

    pub(crate) async fn hello(&mut self) -> Hello {
        match self.message().await {
            AgentMessage::Hello(hello) => *hello,
            other => panic!("no hello: {other:?}"),
        }
    }

    pub(crate) async fn welcome(&self, hello: &Hello, accepted: Accepted, heartbeat_interval_ms: u64) {
        assert_eq!(hello.node_uid.as_ref(), Some(&self.node_uid));
        let welcome = Welcome {
            wire: WIRE_VERSION,
            node_uid: self.node_uid.clone(),
            store_epoch: "epoch".into(),
            heartbeat_interval_ms,
            offline_after_ms: 60_000,
            accepted,
        };
        self.send(ServerMessage::Welcome(welcome)).await;
    }

    pub(crate) async fn desired(&mut self, revision: u64, assignments: Vec<Value>) {
        let desired = Desired { revision, full: true, assignments, ..Desired::default() };
        for chunk in desired.into_chunks().unwrap() {
            self.send(ServerMessage::Desired(Box::new(chunk))).await;
        }
    }

    pub(crate) async fn ack(&self, at: Accepted) {
        let (agent_epoch, sequence) = (at.agent_epoch, at.sequence);
        self.send(ServerMessage::ReportAck(ReportAck { agent_epoch, sequence })).await;
    }

    /// The next report.
    pub(crate) async fn report(&mut self) -> Report {
        loop {
            if let AgentMessage::Report(report) = self.message().await {
                return report;
            }
        }
    }

    /// Stores reports as a server does, each once, until `found` finds what it looks for.
    pub(crate) async fn until<T>(
        &mut self,
        store: &mut Stored,
        what: &str,
        found: impl Fn(&Seen) -> Option<T>,
    ) -> T {
        let looking = async {
            loop {
                if let Some(found) = found(&store.seen) {
                    return found;
                }
                let report = self.report().await;
                self.ack(store.take(&report)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what}"))
    }
}

/// What a server has stored of a node.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) seen: Seen,
    pub(crate) accepted: Accepted,
}

impl Stored {
    pub(crate) fn take(&mut self, report: &Report) -> Accepted {
        let at = Accepted { agent_epoch: report.agent_epoch, sequence: report.sequence };
        if at > self.accepted {
            let follows =
                at.agent_epoch > self.accepted.agent_epoch || at.sequence == self.accepted.sequence + 1;
            assert!(follows, "{at:?} came after {:?}", self.accepted);
            self.seen.take(report);
            self.accepted = at;
        }
        self.accepted
    }
}

/// Bytes of a stream up to its end, paid for with as much credit as they took.
pub(crate) async fn output(peer: &mut Peer, stream: u32) -> (Vec<u8>, Option<String>) {
    let mut all = Vec::new();
    loop {
        let frame = peer.next().await.expect("the session stands");
        if frame.stream != stream {
            continue;
        }
        match frame.body {
            Body::Data(bytes) => {
                all.extend_from_slice(&bytes);
                let credit = u32::try_from(bytes.len()).unwrap();
                peer.frame(Frame { stream, body: Body::Credit(credit) }).await;
            }
            Body::End(status) => return (all, status.map(|status| status.reason)),
            other => panic!("{other:?}"),
        }
    }
}

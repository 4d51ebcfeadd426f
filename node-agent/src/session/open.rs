//! The beginning of a session: dial, hello, welcome.

use std::time::Duration;

use drover_client::{Message, WebSocketReceiver, segment};
use drover_wire::{
    AgentMessage, Frame, Hello, NodeFacts, SUBPROTOCOL, ServerMessage, WIRE_VERSION, Welcome, negotiate,
    session_path,
};

use super::frames::{Out, writer};
use super::{Broken, Session};

/// How long the server may take to answer the hello.
const WELCOME: Duration = Duration::from_secs(30);

/// A session that is on.
pub(crate) struct Opened {
    pub(crate) out: Out,
    pub(crate) socket: WebSocketReceiver,
    pub(crate) welcome: Welcome,
    /// Boot time before the hello was sent: the server has heard of the node since.
    pub(crate) greeted: Duration,
    /// What the hello said of the host.
    pub(crate) facts: NodeFacts,
    /// Goes with the session.
    pub(crate) _writer: Writer,
}

/// The task that writes, which goes with the session.
pub(crate) struct Writer(tokio::task::JoinHandle<()>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn open(session: &Session) -> Result<Opened, Broken> {
    let path = session_path(&segment(&session.node_name));
    let socket = session.client.open_websocket(&path, &[SUBPROTOCOL]).await?;
    if socket.protocol() != Some(SUBPROTOCOL) {
        return Err(Broken::Protocol("it did not choose the subprotocol that was offered"));
    }
    let (sender, mut receiver) = socket.split();
    let (out, task) = writer(sender);
    let writer = Writer(task);
    let standing = session.handle.standing().await?;
    let facts = session.machine.facts();
    let greeted = session.world.clock.boottime();
    let hello = Hello {
        wire: WIRE_VERSION,
        node_name: session.node_name.clone(),
        node_uid: Some(session.node_uid.clone()),
        boot_id: session.boot_id.clone(),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        store_epoch: standing.store_epoch,
        desired_revision: standing.revision,
        open_runs: standing.open_runs,
        acknowledged: standing.acknowledged,
        agent_epoch: standing.agent_epoch,
        labels: session.labels.clone(),
        facts: facts.clone(),
    };
    out.message(&AgentMessage::Hello(Box::new(hello))).await?;
    let first = tokio::time::timeout(WELCOME, first(&mut receiver));
    let welcome = match first.await.map_err(|_| Broken::Silent(WELCOME))?? {
        ServerMessage::Welcome(welcome) => welcome,
        ServerMessage::Close(close) => {
            let retry_after = close.retry_after_ms.map(Duration::from_millis);
            return Err(Broken::Closed { reason: close.reason, retry_after });
        }
        _ => return Err(Broken::Protocol("its first message was no welcome")),
    };
    negotiate(WIRE_VERSION, welcome.wire)?;
    if welcome.node_uid != session.node_uid {
        return Err(Broken::Protocol("it takes this node for another one of its name"));
    }
    session.handle.welcomed(welcome.store_epoch.clone(), welcome.accepted).await?;
    Ok(Opened { out, socket: receiver, welcome, greeted, facts, _writer: writer })
}

async fn first(socket: &mut WebSocketReceiver) -> Result<ServerMessage, Broken> {
    loop {
        match socket.next().await? {
            Some(Message::Binary(bytes)) => return Ok(Frame::decode(bytes)?.message()?),
            Some(Message::Alive) => {}
            Some(Message::Text(_)) => return Err(Broken::Protocol("it sent text")),
            Some(Message::Close { reason, .. }) => {
                return Err(Broken::Closed { reason, retry_after: None });
            }
            None => return Err(Broken::Gone),
        }
    }
}

//! The way down to an agent: two bounded queues and the socket. What is urgent never waits behind what is large.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use drover_wire::{Bounded, Frame, ServerMessage};
use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use serde::Serialize;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::timeout;

/// Small messages that may wait. An agent that lets more pile up does not read.
const URGENT: usize = 128;

/// A frame, and whether it is the last.
struct Out {
    frame: Bytes,
    last: bool,
}

/// Room for one large message.
pub(crate) struct Room(OwnedPermit<Bytes>);

/// Where messages to the agent are put.
#[derive(Clone)]
pub(crate) struct Outgoing {
    urgent: mpsc::Sender<Out>,
    bulk: mpsc::Sender<Bytes>,
}

/// The other ends, for [`Writer::run`].
pub(crate) struct Writer {
    urgent: mpsc::Receiver<Out>,
    bulk: mpsc::Receiver<Bytes>,
    sink: SplitSink<WebSocket, Message>,
    limit: Duration,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It cannot be encoded.
    #[error("a message to the agent cannot be sent: {0}")]
    Wire(#[from] drover_wire::WireError),
    /// Too much waits already.
    #[error("the agent does not read what is sent to it")]
    Full,
}

/// The queues of a session. One write to the socket may take `limit`.
pub(crate) fn open(sink: SplitSink<WebSocket, Message>, limit: Duration) -> (Outgoing, Writer) {
    let (urgent, urgent_out) = mpsc::channel(URGENT);
    let (bulk, bulk_out) = mpsc::channel(1);
    (Outgoing { urgent, bulk }, Writer { urgent: urgent_out, bulk: bulk_out, sink, limit })
}

fn encode<M: Serialize + Bounded>(message: &M) -> Result<Bytes, Refused> {
    Ok(Frame::control(message)?.encode()?)
}

impl Outgoing {
    /// Sends a small message soon.
    pub(crate) fn send(&self, message: &ServerMessage) -> Result<(), Refused> {
        self.frame(encode(message)?)
    }

    /// Sends an encoded frame soon.
    pub(crate) fn frame(&self, frame: Bytes) -> Result<(), Refused> {
        self.urgent.try_send(Out { frame, last: false }).map_err(|_| Refused::Full)
    }

    /// Sends an encoded frame, waiting for room. A session that is over takes it and does nothing.
    pub(crate) async fn frame_when_possible(&self, frame: Bytes) {
        let _ = self.urgent.send(Out { frame, last: false }).await;
    }

    /// Sends a message after which nothing follows. If there is no room, the agent does not read, and finds out by
    /// the end of the connection.
    pub(crate) fn last(&self, message: &ServerMessage) {
        if let Ok(frame) = encode(message) {
            let _ = self.urgent.try_send(Out { frame, last: true });
        }
    }

    /// Waits until one large message may be sent.
    pub(crate) async fn room(&self) -> Option<Room> {
        self.bulk.clone().reserve_owned().await.ok().map(Room)
    }
}

impl Room {
    /// Sends the large message.
    pub(crate) fn send(self, message: &ServerMessage) -> Result<(), Refused> {
        self.0.send(encode(message)?);
        Ok(())
    }
}

impl Writer {
    /// Writes until the last message is out, the socket breaks or one write takes too long.
    pub(crate) async fn run(mut self) {
        loop {
            let next = tokio::select! {
                biased;
                urgent = self.urgent.recv() => urgent,
                bulk = self.bulk.recv() => bulk.map(|frame| Out { frame, last: false }),
            };
            let Some(Out { frame, last }) = next else { return };
            match timeout(self.limit, self.sink.send(Message::Binary(frame))).await {
                Ok(Ok(())) if last => break,
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "an agent's socket broke");
                    return;
                }
                Err(_) => {
                    tracing::warn!("an agent took nothing for too long; its session is closed");
                    return;
                }
            }
        }
        // The agent may have closed already; then there is nobody to say goodbye to.
        let _ = timeout(self.limit, self.sink.send(Message::Close(None))).await;
    }
}

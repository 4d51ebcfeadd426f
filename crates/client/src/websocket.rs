//! WebSockets to the apiserver: an agent's session, and the streams of exec and the like.

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error as WsError};

use crate::client::Client;
use crate::dial::BoxStream;
use crate::error::{ApiError, Error};

/// As long as the wire's longest frame.
const MAX_MESSAGE: usize = 1 << 20;
/// A session is idle most of its life, and there may be thousands.
const READ_BUFFER: usize = 4 << 10;
/// Data is written through at once; this bounds what a stuck socket may hold back.
const MAX_WRITE_BUFFER: usize = 4 << 20;

/// An open WebSocket.
pub struct WebSocket {
    stream: WebSocketStream<BoxStream>,
    protocol: Option<String>,
}

/// The half that sends.
pub struct WebSocketSender(SplitSink<WebSocketStream<BoxStream>, tungstenite::Message>);

/// The half that receives. It has to be polled for pings of the server to be answered.
pub struct WebSocketReceiver(SplitStream<WebSocketStream<BoxStream>>);

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes.
    Binary(Bytes),
    /// Text.
    Text(String),
    /// A sign of life: a ping or a pong.
    Alive,
    /// The server closes; nothing more comes.
    Close {
        /// The close code, 1005 if there was none.
        code: u16,
        /// Why, for people.
        reason: String,
    },
}

impl Client {
    /// Opens a WebSocket, offering these subprotocols. A refusal is an [`Error::Api`].
    pub async fn open_websocket(&self, path: &str, protocols: &[&str]) -> Result<WebSocket, Error> {
        self.within_deadline(async {
            // The scheme says nothing here: whether there is TLS is the dialled stream's business.
            let mut request = format!("ws://{}{path}", self.host()).into_client_request().map_err(broken)?;
            self.headers(request.headers_mut());
            if !protocols.is_empty() {
                let offered = HeaderValue::from_str(&protocols.join(", "))
                    .map_err(|error| Error::Request(error.into()))?;
                request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
            }
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .write_buffer_size(0)
                .max_write_buffer_size(MAX_WRITE_BUFFER)
                .max_message_size(Some(MAX_MESSAGE))
                .max_frame_size(Some(MAX_MESSAGE));
            let stream = self.dial().await?;
            let (stream, answer) = tokio_tungstenite::client_async_with_config(request, stream, Some(config))
                .await
                .map_err(refused)?;
            let protocol = answer.headers().get(SEC_WEBSOCKET_PROTOCOL);
            let protocol = protocol.and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok(WebSocket { stream, protocol })
        })
        .await
    }
}

impl WebSocket {
    /// The subprotocol that the server chose.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The two halves, for two tasks.
    pub fn split(self) -> (WebSocketSender, WebSocketReceiver) {
        let (sink, stream) = self.stream.split();
        (WebSocketSender(sink), WebSocketReceiver(stream))
    }
}

impl WebSocketSender {
    /// Sends one binary message; waits while the socket takes nothing.
    pub async fn send(&mut self, message: Bytes) -> Result<(), Error> {
        self.0.send(tungstenite::Message::Binary(message)).await.map_err(broken)
    }

    /// Sends one text message.
    pub async fn send_text(&mut self, message: String) -> Result<(), Error> {
        self.0.send(tungstenite::Message::Text(message.into())).await.map_err(broken)
    }

    /// Asks for a sign of life.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.0.send(tungstenite::Message::Ping(Bytes::new())).await.map_err(broken)
    }

    /// Says good-bye.
    pub async fn close(mut self) -> Result<(), Error> {
        self.0.close().await.map_err(broken)
    }
}

impl WebSocketReceiver {
    /// The next message, or none once the socket is closed.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            let message = match self.0.next().await {
                None | Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) => return Ok(None),
                Some(message) => message.map_err(broken)?,
            };
            return Ok(Some(match message {
                tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
                tungstenite::Message::Text(text) => Message::Text(text.as_str().to_owned()),
                tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) => Message::Alive,
                tungstenite::Message::Close(None) => Message::Close { code: 1005, reason: String::new() },
                tungstenite::Message::Close(Some(close)) => {
                    Message::Close { code: close.code.into(), reason: close.reason.as_str().to_owned() }
                }
                // Never comes from a read.
                tungstenite::Message::Frame(_) => continue,
            }));
        }
    }
}

fn broken(error: WsError) -> Error {
    Error::WebSocket(Box::new(error))
}

fn refused(error: WsError) -> Error {
    match error {
        WsError::Http(answer) => {
            let body = answer.body().as_deref().unwrap_or_default();
            ApiError::from_answer(answer.status(), answer.headers(), body).into()
        }
        error => broken(error),
    }
}

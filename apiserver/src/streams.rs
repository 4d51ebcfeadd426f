//! How a watch reaches its client: lines of a chunked body, or text frames of a WebSocket.

use axum::body::Body;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt as _, stream};
use http::{HeaderValue, header};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::watch::{Begun, QUEUE, error_event};

/// A watch's share of the bound on watches, held until its client has all of it. A server that stops waits for it.
#[derive(Debug)]
pub(crate) struct Seat {
    gauge: Gauge,
    _permit: OwnedSemaphorePermit,
    _tracked: TaskTrackerToken,
}

impl Seat {
    pub(crate) fn new(gauge: Gauge, permit: OwnedSemaphorePermit, tracked: TaskTrackerToken) -> Self {
        gauge.inc();
        Self { gauge, _permit: permit, _tracked: tracked }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

fn start(begun: Begun, stop: CancellationToken) -> mpsc::Receiver<Bytes> {
    let (out, lines) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        match begun {
            Begun::Stream(stream) => stream.run(out, stop).await,
            // The channel is empty: this waits for nobody, and a client that went needs nothing.
            Begun::Failed(status) => drop(out.send(error_event(&status)).await),
        }
    });
    lines
}

pub(crate) fn over_http(begun: Begun, seat: Seat, stop: CancellationToken) -> Response {
    let lines = start(begun, stop);
    let body = stream::unfold((lines, seat), |(mut lines, seat)| async {
        lines.recv().await.map(|line| (Ok::<_, std::convert::Infallible>(line), (lines, seat)))
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn over_websocket(
    upgrade: WebSocketUpgrade,
    begun: Begun,
    seat: Seat,
    stop: CancellationToken,
) -> Response {
    // Nothing that a client sends here means anything, so there is no room for it.
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(READ_BUFFER)
        .max_frame_size(READ_BUFFER)
        .on_upgrade(move |socket| async move {
            pump(socket, start(begun, stop)).await;
            drop(seat);
        })
}

/// Nothing long comes from a client; and there may be thousands of them.
const READ_BUFFER: usize = 4096;

/// Lines that are told with one flush, at most: a TLS record and a system call for many small ones, and a bound on what
/// a slow client makes the server keep.
const TOGETHER: usize = 16 << 10;

/// Sends a line, and with it what waits behind it.
async fn tell(
    socket: &mut WebSocket,
    first: Utf8Bytes,
    lines: &mut mpsc::Receiver<Bytes>,
) -> Result<(), axum::Error> {
    let mut bytes = first.len();
    socket.feed(Message::Text(first)).await?;
    while bytes < TOGETHER
        && let Ok(line) = lines.try_recv()
    {
        let Ok(text) = Utf8Bytes::try_from(line) else { break };
        bytes += text.len();
        socket.feed(Message::Text(text)).await?;
    }
    socket.flush().await
}

async fn pump(mut socket: WebSocket, mut lines: mpsc::Receiver<Bytes>) {
    loop {
        tokio::select! {
            biased;
            said = socket.recv() => match said {
                // Pings are answered beneath.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            line = lines.recv() => {
                // JSON is UTF-8, so the conversion only states that.
                let text = line.and_then(|line| Utf8Bytes::try_from(line).ok());
                let Some(text) = text else { break };
                if tell(&mut socket, text, &mut lines).await.is_err() {
                    return;
                }
            }
        }
    }
    // The client may be gone already; then there is nobody to say goodbye to.
    let _ = socket.send(Message::Close(None)).await;
}

//! A run's output on its way from the agent to one client, never more at once than the window.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use drover_wire::{DEFAULT_WINDOW, EndStatus, Frame, LogStart, OpenLogs, ReceiveWindow, WireError};
use tokio::sync::Notify;

use super::outgoing::Outgoing;

/// What a client wants to read.
#[derive(Clone, Debug)]
pub(crate) struct LogWish {
    pub(crate) namespace: String,
    pub(crate) run: String,
    pub(crate) uid: String,
    pub(crate) follow: bool,
    pub(crate) start: LogStart,
    pub(crate) timestamps: bool,
}

impl LogWish {
    /// The message that opens the stream.
    pub(crate) fn open(self, stream: u32) -> OpenLogs {
        OpenLogs {
            stream,
            namespace: self.namespace,
            run: self.run,
            uid: self.uid,
            follow: self.follow,
            start: self.start,
            timestamps: self.timestamps,
        }
    }
}

/// Why a stream ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Broken {
    /// One word: the agent's, or `NodeLost`.
    pub(crate) reason: String,
    pub(crate) message: String,
}

#[derive(Debug)]
struct State {
    window: ReceiveWindow,
    held: BytesMut,
    end: Option<Result<(), Broken>>,
    abandoned: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
    /// The session's bell for streams that their clients left.
    left: Arc<Notify>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session's end. Dropped before its time, it breaks the stream.
#[derive(Debug)]
pub(crate) struct LogSource(Arc<Shared>);

/// The client's end. Dropped, it tells the session.
pub(crate) struct LogStream {
    shared: Arc<Shared>,
    stream: u32,
    credit: Outgoing,
}

impl std::fmt::Debug for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Both ends of a stream.
pub(crate) fn open(stream: u32, credit: Outgoing, left: Arc<Notify>) -> (LogSource, LogStream) {
    let state = State {
        window: ReceiveWindow::new(DEFAULT_WINDOW),
        held: BytesMut::new(),
        end: None,
        abandoned: false,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Notify::new(), left });
    (LogSource(shared.clone()), LogStream { shared, stream, credit })
}

impl LogSource {
    /// Bytes came. More than there was credit for is an error.
    pub(crate) fn received(&self, bytes: &[u8]) -> Result<(), WireError> {
        let mut state = self.0.state();
        state.window.received(bytes.len())?;
        state.held.extend_from_slice(bytes);
        drop(state);
        self.0.arrived.notify_one();
        Ok(())
    }

    /// The agent ended the stream.
    pub(crate) fn ended(&self, status: Option<EndStatus>) {
        let end = match status {
            None => Ok(()),
            Some(EndStatus { reason, message }) => Err(Broken { reason, message }),
        };
        self.finish(end);
    }

    /// Whether the client left.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.state().abandoned
    }

    fn finish(&self, end: Result<(), Broken>) {
        self.0.state().end.get_or_insert(end);
        self.0.arrived.notify_one();
    }
}

impl Drop for LogSource {
    fn drop(&mut self) {
        self.finish(Err(Broken {
            reason: "NodeLost".into(),
            message: "the session with the node ended before the output did".into(),
        }));
    }
}

impl LogStream {
    /// What came, or nothing at the end. Taking it gives the agent credit for more.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let (bytes, credit) = {
                let mut state = self.shared.state();
                let bytes = state.held.split().freeze();
                match (&state.end, bytes.is_empty()) {
                    (Some(end), true) => return end.clone().map(|()| None),
                    (_, true) => (bytes, None),
                    (_, false) => {
                        let credit = state.window.consumed(bytes.len());
                        (bytes, credit)
                    }
                }
            };
            if let Some(credit) = credit
                && let Ok(frame) = Frame::credit(self.stream, credit).encode()
            {
                self.credit.frame_when_possible(frame).await;
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
            self.shared.arrived.notified().await;
        }
    }

    /// Why the stream broke, if it did before anything came.
    pub(crate) fn refusal(&self) -> Option<Broken> {
        let state = self.shared.state();
        state.end.clone().filter(|_| state.held.is_empty()).and_then(Result::err)
    }

    /// Waits until there is something to say. Safe to drop and call again.
    pub(crate) async fn ready(&self) {
        loop {
            {
                let state = self.shared.state();
                if state.end.is_some() || !state.held.is_empty() {
                    return;
                }
            }
            self.shared.arrived.notified().await;
        }
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        self.shared.state().abandoned = true;
        self.shared.left.notify_one();
    }
}

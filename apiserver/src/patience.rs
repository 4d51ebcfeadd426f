//! How long a connection may do nothing. A peer that takes nothing of what is written to it, or has no request under
//! way and says nothing, is cut off: it would hold a place that another could have.
//!
//! Absent: time for a whole request; a followed log lasts as long as it is read.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// For how long what is written may be stuck.
const STUCK: Duration = Duration::from_secs(30);
/// For how long a connection that had a request may have none.
const IDLE: Duration = Duration::from_secs(90);

/// What is under way on one connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    begun: AtomicBool,
    requests: AtomicUsize,
    /// When the last request ended.
    ended: Mutex<Option<Instant>>,
}

impl Activity {
    /// A request is under way until this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Underway {
        self.begun.store(true, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        Underway(self.clone())
    }

    fn ended(&self) -> Option<Instant> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nothing may come in, if there is a bound now.
    fn patience(&self, first: Duration) -> Option<Duration> {
        if self.requests.load(Relaxed) > 0 {
            None
        } else {
            Some(if self.begun.load(Relaxed) { IDLE } else { first })
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Underway(Arc<Activity>);

impl Underway {
    /// The connection has become something else, which ends by its own rules.
    pub(crate) fn for_good(self) {
        self.0.requests.fetch_add(1, Relaxed);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// The body of an answer, whose request is under way until it was sent.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Body,
    _underway: Underway,
}

impl Answer {
    pub(crate) fn new(body: Body, underway: Underway) -> Self {
        Self { body, _underway: underway }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that fails once its peer was silent, or took nothing, for too long.
pub(crate) struct Patient<T> {
    io: T,
    activity: Arc<Activity>,
    /// For the first request to come.
    first: Duration,
    since: Instant,
    silence: Option<Pin<Box<Sleep>>>,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<T> Patient<T> {
    pub(crate) fn new(io: T, activity: Arc<Activity>, first: Duration) -> Self {
        Self { io, activity, first, since: Instant::now(), silence: None, stuck: None }
    }

    fn check_silence(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let now = Instant::now();
            let end = match self.activity.patience(self.first) {
                Some(patience) => self.activity.ended().unwrap_or(self.since) + patience,
                None => now + IDLE,
            };
            if now >= end {
                return Poll::Ready(Error::new(ErrorKind::TimedOut, "the client is silent"));
            }
            let silence = self.silence.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if silence.deadline() > end {
                silence.as_mut().reset(end);
            }
            ready!(silence.as_mut().poll(cx));
            self.silence = None;
        }
    }

    /// What became of a write, unless it has been waiting for too long.
    fn check_stuck<R>(&mut self, done: Poll<Result<R>>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        if done.is_ready() {
            self.stuck = None;
            return done;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STUCK)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            // Bytes alone are no request: one at a time, or as answers to pings, they would keep the place for ever.
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.check_silence(cx).map(Err),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.check_stuck(done, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let done = Pin::new(&mut self.io).poll_flush(cx);
        self.check_stuck(done, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let done = Pin::new(&mut self.io).poll_shutdown(cx);
        self.check_stuck(done, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.check_stuck(done, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

//! One connection: a pipe each way, and its two ends.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::life::{Life, over};
use crate::net::link::{Direction, Link};

/// What may be on its way in one direction before the sender has to wait.
const WINDOW: usize = 128 << 10;

enum Piece {
    Bytes(Bytes),
    End,
}

#[derive(Default)]
struct Flow {
    pieces: VecDeque<(Instant, Piece)>,
    waiting: usize,
    /// When the line is free again, and when the last piece arrives.
    free: Option<Instant>,
    last: Option<Instant>,
    held: bool,
    damaged: bool,
    broken: bool,
    shut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Pipe(Mutex<Flow>);

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self) {
        self.lock().held = true;
    }

    pub(super) fn release(&self) {
        let mut flow = self.lock();
        flow.held = false;
        flow.wake();
    }

    pub(super) fn wake(&self) {
        self.lock().wake();
    }

    fn break_off(&self) {
        let mut flow = self.lock();
        flow.broken = true;
        flow.pieces.clear();
        flow.wake();
    }

    /// Whether there was something to damage.
    pub(super) fn damage(&self) -> bool {
        let mut flow = self.lock();
        let bytes = flow.pieces.iter().any(|(_, piece)| matches!(piece, Piece::Bytes(_)));
        flow.damaged |= bytes;
        bytes
    }
}

impl Flow {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn send(&mut self, piece: Piece, transfer: Duration, delay: Duration) {
        let now = Instant::now();
        let sent = self.free.map_or(now, |free| free.max(now)) + transfer;
        let arrives = self.last.map_or(sent + delay, |last| last.max(sent + delay));
        (self.free, self.last) = (Some(sent), Some(arrives));
        if let Piece::Bytes(bytes) = &piece {
            self.waiting += bytes.len();
        }
        self.pieces.push_back((arrives, piece));
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// Both directions.
#[derive(Default)]
pub(super) struct Connection {
    up: Pipe,
    down: Pipe,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    pub(super) fn pipe(&self, direction: Direction) -> &Pipe {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// Ends it for both, at once.
    pub(super) fn reset(&self) {
        self.up.break_off();
        self.down.break_off();
    }
}

/// One end of a connection.
pub struct End {
    connection: Arc<Connection>,
    link: Link,
    life: Life,
    /// Where it writes to.
    out: Direction,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl End {
    pub(super) fn pair(connection: Arc<Connection>, link: &Link, lives: (&Life, &Life)) -> (Self, Self) {
        let end = |life: &Life, out| Self {
            connection: Arc::clone(&connection),
            link: link.clone(),
            life: life.clone(),
            out,
            alarm: None,
        };
        (end(lives.0, Direction::Up), end(lives.1, Direction::Down))
    }

    fn incoming(&self) -> &Pipe {
        match self.out {
            Direction::Up => &self.connection.down,
            Direction::Down => &self.connection.up,
        }
    }

    fn outgoing(&self) -> &Pipe {
        self.connection.pipe(self.out)
    }

    fn shut(&self) {
        let (_, _, delay) = self.link.draw();
        let mut flow = self.outgoing().lock();
        if !flow.shut && !flow.broken {
            flow.shut = true;
            flow.send(Piece::End, Duration::ZERO, delay);
        }
    }

    /// Whether something is to be read now; if not, whoever reads is woken when there is.
    fn arrived(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let at = {
            let mut flow = self.incoming().lock();
            if flow.broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let first = flow.pieces.front().filter(|_| !flow.held).map(|(at, _)| *at);
            match first {
                Some(at) if at <= Instant::now() => return Poll::Ready(Ok(())),
                first => {
                    flow.reader = Some(context.waker().clone());
                    first
                }
            }
        };
        let Some(at) = at else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        alarm.as_mut().poll(context).map(Ok)
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.life.is_over() {
            return Poll::Ready(Err(over()));
        }
        std::task::ready!(self.arrived(context))?;
        self.life.operate()?;
        let mut flow = self.incoming().lock();
        if flow.damaged {
            drop(flow);
            self.connection.reset();
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what came was damaged on its way",
            )));
        }
        let mut taken = 0;
        let done = match flow.pieces.front_mut() {
            // The end stays at the end.
            Some((_, Piece::End)) | None => false,
            Some((_, Piece::Bytes(bytes))) => {
                taken = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..taken]);
                bytes.advance(taken);
                bytes.is_empty()
            }
        };
        if done {
            flow.pieces.pop_front();
        }
        flow.waiting -= taken;
        if let Some(waker) = flow.writer.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.life.is_over() {
            return Poll::Ready(Err(over()));
        }
        {
            let mut flow = self.outgoing().lock();
            if flow.broken || flow.shut {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if flow.waiting >= WINDOW {
                flow.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.life.operate()?;
        let (quality, piece, delay) = self.link.draw();
        let count = bytes.len().min(piece);
        let nanos = (count as u64).saturating_mul(1_000_000_000) / quality.bandwidth.max(1);
        let piece = Piece::Bytes(Bytes::copy_from_slice(&bytes[..count]));
        self.outgoing().lock().send(piece, Duration::from_nanos(nanos), delay);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.life.is_over() {
            self.shut();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // What becomes of the connections of a part that crashed is the crash's business.
        if self.life.is_over() {
            return;
        }
        self.shut();
        // Who goes on writing to it is told that nobody reads.
        let mut flow = self.incoming().lock();
        flow.shut = true;
        flow.pieces.clear();
        flow.wake();
    }
}

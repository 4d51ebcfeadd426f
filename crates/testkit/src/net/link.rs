//! What connects two hosts, and what happens to all connections over it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::life::Life;
use crate::net::pipe::{Connection, End};
use crate::seed::Dice;

/// How good a link is.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// One way, at least.
    pub delay: Duration,
    /// More, at most, drawn for each piece.
    pub jitter: Duration,
    /// Bytes a second, one way.
    pub bandwidth: u64,
    /// The longest piece, in bytes.
    pub piece: u64,
}

impl Quality {
    /// That of hosts next to each other.
    pub fn near() -> Self {
        Self {
            delay: Duration::from_millis(1),
            jitter: Duration::from_millis(2),
            bandwidth: 50 << 20,
            piece: 16 << 10,
        }
    }
}

/// Which way, seen from the one who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

#[derive(Debug)]
struct State {
    quality: Quality,
    refusing: bool,
    held: [bool; 2],
    connections: Vec<Weak<Connection>>,
    dice: Dice,
}

/// A link. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Link {
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
}

impl Link {
    /// One that works.
    pub fn new(quality: Quality, dice: Dice) -> Self {
        let state = State { quality, refusing: false, held: [false; 2], connections: Vec::new(), dice };
        Self { state: Arc::new(Mutex::new(state)), released: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how good it is, for what is sent from now on.
    pub fn set_quality(&self, quality: Quality) {
        self.lock().quality = quality;
    }

    /// Whether new connections are refused.
    pub fn set_refusing(&self, refusing: bool) {
        self.lock().refusing = refusing;
    }

    /// Nothing arrives this way, until it is released; what is sent waits, as a network that loses packets makes it.
    pub fn hold(&self, direction: Direction) {
        let mut state = self.lock();
        state.held[direction as usize] = true;
        each(&mut state, |connection| connection.pipe(direction).hold());
    }

    /// Everything arrives again, in both directions.
    pub fn release(&self) {
        let mut state = self.lock();
        state.held = [false; 2];
        each(&mut state, |connection| {
            connection.pipe(Direction::Up).release();
            connection.pipe(Direction::Down).release();
        });
        drop(state);
        self.released.notify_waiters();
    }

    /// Lets both ends of every connection look again: what is left of a part that crashed finds that it has.
    pub fn wake(&self) {
        each(&mut self.lock(), |connection| {
            connection.pipe(Direction::Up).wake();
            connection.pipe(Direction::Down).wake();
        });
    }

    /// Breaks every connection; how many there were.
    pub fn cut(&self) -> usize {
        let mut state = self.lock();
        let mut count = 0;
        each(&mut state, |connection| {
            count += 1;
            connection.reset();
        });
        state.connections.clear();
        count
    }

    /// Damages what is on its way on one connection, this way; whether there was something.
    pub fn damage(&self, direction: Direction) -> bool {
        let mut state = self.lock();
        let mut done = false;
        each(&mut state, |connection| done = done || connection.pipe(direction).damage());
        done
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        let mut state = self.lock();
        let mut count = 0;
        each(&mut state, |_| count += 1);
        count
    }

    /// Opens a connection between two lives, if the network lets it: the near end and the far one.
    pub(super) async fn open(&self, near: &Life, far: &Life) -> std::io::Result<(End, End)> {
        let (quality, extra) = {
            let mut state = self.lock();
            let jitter = millis(state.quality.jitter);
            (state.quality, Duration::from_millis(state.dice.within(0..=jitter)))
        };
        tokio::time::sleep(quality.delay * 2 + extra).await;
        loop {
            let released = self.released.notified();
            if let Some(opened) = self.try_open((near, far)) {
                return opened;
            }
            released.await;
        }
    }

    /// None while the network lets nothing through.
    fn try_open(&self, lives: (&Life, &Life)) -> Option<std::io::Result<(End, End)>> {
        let mut state = self.lock();
        if state.refusing {
            return Some(Err(std::io::ErrorKind::ConnectionRefused.into()));
        }
        if state.held.contains(&true) {
            return None;
        }
        let connection = Arc::new(Connection::default());
        state.connections.retain(|held| held.strong_count() > 0);
        state.connections.push(Arc::downgrade(&connection));
        drop(state);
        Some(Ok(End::pair(connection, self, lives)))
    }

    /// How long a piece may be, and what it is like on its way.
    pub(super) fn draw(&self) -> (Quality, usize, Duration) {
        let mut state = self.lock();
        let quality = state.quality;
        let piece = state.dice.within(1..=quality.piece);
        let jitter = Duration::from_micros(state.dice.within(0..=micros(quality.jitter)));
        (quality, usize::try_from(piece).unwrap_or(1), quality.delay + jitter)
    }
}

fn each(state: &mut State, mut change: impl FnMut(&Connection)) {
    state.connections.retain(|held| held.strong_count() > 0);
    for connection in state.connections.iter().filter_map(Weak::upgrade) {
        change(&connection);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

//! The clocks of one host: time since boot that never steps, and a wall clock that faults step.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_world::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Virtual time of the whole run: starts with it, and jumps to whatever is due next.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    start: Instant,
    wall: Timestamp,
}

impl Origin {
    /// Now is the beginning, at which every wall clock says `wall`. To be called in the run's runtime.
    pub fn here(wall: Timestamp) -> Self {
        Self { start: Instant::now(), wall }
    }

    /// How long the run has gone on.
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.start)
    }

    /// What a clock that nobody steps says now.
    pub fn true_time(&self) -> Timestamp {
        self.wall
            .checked_add(SignedDuration::try_from(self.elapsed()).unwrap_or_default())
            .unwrap_or(Timestamp::MAX)
    }
}

#[derive(Debug)]
struct Faces {
    booted: Duration,
    /// Time that passed for the clocks of this host alone.
    slept: Duration,
    step: SignedDuration,
}

/// The clocks of one host. Cheap to clone; all clones are the same clocks.
#[derive(Clone, Debug)]
pub struct SimClock {
    origin: Origin,
    faces: Arc<Mutex<Faces>>,
}

impl SimClock {
    /// Of a host that has been up for `uptime` when the run begins.
    pub fn new(origin: Origin, uptime: Duration) -> Self {
        let faces = Faces { booted: origin.elapsed(), slept: uptime, step: SignedDuration::ZERO };
        Self { origin, faces: Arc::new(Mutex::new(faces)) }
    }

    /// Steps the wall clock.
    pub fn step(&self, by: SignedDuration) {
        self.with(|faces| faces.step = faces.step.saturating_add(by));
    }

    /// Puts the wall clock right.
    pub fn put_right(&self) {
        self.with(|faces| faces.step = SignedDuration::ZERO);
    }

    /// By how much the wall clock is wrong.
    pub fn error(&self) -> SignedDuration {
        self.with(|faces| faces.step)
    }

    /// The host was suspended for so long: time since boot goes on, and the wall clock, set by the network, is right.
    pub fn suspend(&self, time: Duration) {
        self.with(|faces| faces.slept += time);
    }

    /// The host boots now.
    pub fn reboot(&self) {
        let now = self.origin.elapsed();
        self.with(|faces| (faces.booted, faces.slept) = (now, Duration::from_secs(20)));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Faces) -> T) -> T {
        change(&mut self.faces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let step = self.with(|faces| faces.step);
        self.origin.true_time().checked_add(step).unwrap_or(Timestamp::MAX)
    }

    fn boottime(&self) -> Duration {
        let (booted, slept) = self.with(|faces| (faces.booted, faces.slept));
        self.origin.elapsed().saturating_sub(booted) + slept
    }
}

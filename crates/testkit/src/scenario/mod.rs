//! What is done to a cluster in a run: who changes what, and what breaks. Written down beforehand, all of it from the
//! seed, so that a run can be cut short or one thing left out.

mod changes;
mod faults;
mod play;
mod workloads;

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::net::Direction;
use crate::run::Plan;

pub use play::{Stage, play};
pub(crate) use workloads::{ZONE, ZONES};

/// Which link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Between a node and the server.
    Node(usize),
    /// Between the reconciler and the server.
    Reconciler,
    /// Between the witness and the server.
    Witness,
    /// Between clients and the server.
    Client,
}

/// Whose disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The server's.
    Server,
    /// A node's.
    Node(usize),
}

/// Who crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The server, and the reconciler with it.
    Server,
    /// The reconciler alone.
    Reconciler,
    /// An agent, or its host.
    Node(usize),
}

/// Something that is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Someone calls the API.
    Call {
        /// `POST`, `PATCH`, `DELETE`.
        method: &'static str,
        /// Where.
        path: String,
        /// With what.
        body: Value,
    },
    /// A part crashes, at an operation of its own.
    Crash {
        /// Which.
        who: Who,
        /// With its host.
        power: bool,
        /// At a step of its disk.
        at_disk: bool,
        /// How many operations it still makes.
        after: u64,
        /// How long it stays down.
        down: Duration,
    },
    /// A wall clock jumps, and is put right later.
    Step {
        /// Of which host.
        node: usize,
        /// By how many milliseconds.
        millis: i64,
        /// For how long.
        time: Duration,
    },
    /// A host was suspended.
    Suspend {
        /// Which.
        node: usize,
        /// For how long.
        time: Duration,
    },
    /// All connections over a link break.
    Cut(Where),
    /// Nothing arrives in one direction, or both.
    Hold {
        /// Over which link.
        link: Where,
        /// One direction, or both.
        direction: Option<Direction>,
        /// For how long.
        time: Duration,
    },
    /// No connection is accepted, and the open ones break.
    Refuse {
        /// Over which link.
        link: Where,
        /// For how long.
        time: Duration,
    },
    /// A link is slow and cuts what is sent into small pieces.
    Slow {
        /// Which.
        link: Where,
        /// One way, in milliseconds.
        delay: u64,
        /// Bytes a second.
        bandwidth: u64,
        /// The longest piece.
        piece: u64,
        /// For how long.
        time: Duration,
    },
    /// What is on its way is damaged, repeated or swapped.
    Damage(Where, Direction),
    /// A keeper is killed.
    KillKeeper {
        /// On which host.
        node: usize,
        /// Which of those that live, counted round.
        which: u64,
    },
    /// A disk takes nothing more.
    Full {
        /// Whose.
        whose: Whose,
        /// For how long.
        time: Duration,
    },
    /// A disk fails its next syncs.
    FailSyncs {
        /// Whose.
        whose: Whose,
        /// How many.
        count: u64,
    },
}

impl Deed {
    /// Whether it is a fault.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Call { .. })
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { method, path, body } => write!(f, "{method} {path} {body}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// A deed and its time since the beginning of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// When.
    pub at: Duration,
    /// What.
    pub deed: Deed,
}

/// Everything that is done in a run, in order.
pub fn write(plan: &Plan) -> Vec<Act> {
    let mut acts = changes::write(plan);
    if plan.faults {
        acts.extend(faults::write(plan));
    }
    acts.sort_by_key(|act| act.at);
    acts
}

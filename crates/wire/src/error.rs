//! What can be wrong with a frame.

use crate::Version;

/// Why a frame, a message or a credit was refused. Each one ends the session: the peer does not speak this wire.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Shorter than its kind needs.
    #[error("a frame of {0} bytes is too short for its kind")]
    Truncated(usize),
    /// More bytes than its kind has.
    #[error("a frame of its kind has no room for {0} bytes")]
    Trailing(usize),
    /// A kind this version does not know.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A control frame on another stream than 0, or bytes on stream 0.
    #[error("a frame of kind {kind} may not be on stream {stream}")]
    WrongStream {
        /// The stream it came on.
        stream: u32,
        /// The frame's kind.
        kind: u8,
    },
    /// Something over its bound.
    #[error("{what} is {actual}, at most {limit} is allowed")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// How large it was.
        actual: usize,
        /// The bound.
        limit: usize,
    },
    /// The payload is not the JSON that it should be.
    #[error("the control message cannot be read or written")]
    Json(#[source] serde_json::Error),
    /// A control message was asked of another frame.
    #[error("not a control frame")]
    NotControl,
    /// The peer sent more than it had credit for.
    #[error("{sent} bytes were sent on a stream with credit for {credit}")]
    Overrun {
        /// How much was sent.
        sent: u32,
        /// How much was allowed.
        credit: u32,
    },
    /// The peer gave a credit of nothing, or more than a window can hold.
    #[error("a credit of {credit} on top of {available} is not between 1 and the window's {limit}")]
    BadCredit {
        /// What was given.
        credit: u32,
        /// What was there already.
        available: u32,
        /// The largest window.
        limit: u32,
    },
    /// Chunks of two different desired states were mixed.
    #[error("a chunk of desired revision {got} came while revision {expected} was incomplete")]
    MixedDesired {
        /// The revision being assembled.
        expected: u64,
        /// The revision that came.
        got: u64,
    },
    /// The two sides have no version in common.
    #[error("wire version {theirs} is not compatible with {ours}: upgrade the older side first")]
    Incompatible {
        /// Our version.
        ours: Version,
        /// The peer's.
        theirs: Version,
    },
}

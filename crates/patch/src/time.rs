//! `metav1.Time`: RFC 3339 in whole seconds.

use jiff::Timestamp;

/// Without the fraction of a second.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// As it is written.
pub(crate) fn text(time: Timestamp) -> String {
    whole_seconds(time).to_string()
}

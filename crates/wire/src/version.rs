//! Which wire two sides speak.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::WireError;

/// A version of this wire. Within a major one, a minor one only adds fields and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// Changes when old and new cannot understand one another.
    pub major: u16,
    /// Changes when something is added.
    pub minor: u16,
}

/// What this build speaks.
pub const WIRE_VERSION: Version = Version { major: 1, minor: 0 };

/// The WebSocket subprotocol both sides offer; the minor version is settled in the hello.
pub const SUBPROTOCOL: &str = "v1.agent.drover.dev";

/// The version two sides speak: the older of the two, if they are at most one minor apart.
pub fn negotiate(ours: Version, theirs: Version) -> Result<Version, WireError> {
    if ours.major == theirs.major && ours.minor.abs_diff(theirs.minor) <= 1 {
        Ok(ours.min(theirs))
    } else {
        Err(WireError::Incompatible { ours, theirs })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_older_or_newer_is_spoken_and_nothing_else() {
        let version = |major, minor| Version { major, minor };
        let table = [
            (version(1, 4), version(1, 4), Some(version(1, 4))),
            (version(1, 4), version(1, 3), Some(version(1, 3))),
            (version(1, 4), version(1, 5), Some(version(1, 4))),
            (version(1, 4), version(1, 2), None),
            (version(1, 4), version(1, 6), None),
            (version(1, 4), version(2, 4), None),
            (version(1, 0), version(0, 1), None),
            (version(1, 0), version(1, u16::MAX), None),
        ];
        for (ours, theirs, expected) in table {
            assert_eq!(negotiate(ours, theirs).ok(), expected, "{ours} with {theirs}");
            assert_eq!(negotiate(theirs, ours).ok(), expected, "{theirs} with {ours}");
        }
    }
}

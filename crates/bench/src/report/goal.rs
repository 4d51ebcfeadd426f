//! What a row is to reach, and whether it does.

use serde::Serialize;

use super::{Row, short};
use crate::contest::Part;

/// One condition on our median.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Goal {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// At least so many times the floor of the same rounds.
    TimesFloor(f64),
    /// At least so many times a peer of the same rounds.
    TimesPeer(String, f64),
}

/// Whether a goal holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Holds,
    /// It does not; by how much, as text.
    Misses(String),
    /// What it compares with was not measured.
    Unknown,
}

impl Goal {
    pub(crate) fn verdict(&self, row: &Row) -> Verdict {
        let (value, wanted, at_least) = match self {
            Self::AtMost(wanted) => (row.ours().map(|ours| ours.median), *wanted, false),
            Self::AtLeast(wanted) => (row.ours().map(|ours| ours.median), *wanted, true),
            Self::TimesFloor(wanted) => (row.times(Part::Floor, None), *wanted, true),
            Self::TimesPeer(peer, wanted) => (row.times(Part::Peer, Some(peer)), *wanted, true),
        };
        let Some(value) = value else { return Verdict::Unknown };
        match at_least {
            true if value >= wanted => Verdict::Holds,
            false if value <= wanted => Verdict::Holds,
            _ if wanted > 0.0 => Verdict::Misses(format!("x{:.2}", value / wanted)),
            _ => Verdict::Misses(short(value)),
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::AtMost(wanted) => format!("<= {}", short(*wanted)),
            Self::AtLeast(wanted) => format!(">= {}", short(*wanted)),
            Self::TimesFloor(wanted) => format!(">= {wanted} x floor"),
            Self::TimesPeer(peer, wanted) => format!(">= {wanted} x {peer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Outcome;
    use crate::report::Unit;
    use crate::stats::Round;

    fn outcome(part: Part, name: &str, value: f64) -> Outcome {
        Outcome {
            part,
            name: name.into(),
            rounds: vec![Round::one("v", value, 1)],
            foreign: None,
            absent: None,
        }
    }

    #[test]
    fn a_goal_compares_our_median_with_a_number_the_floor_or_a_peer() {
        let outcomes = [
            outcome(Part::Ours, "drover", 10.0),
            outcome(Part::Floor, "floor", 16.0),
            outcome(Part::Peer, "etcd", 5.0),
        ];
        let row = Row::of("P0", "test", Unit::PerSecond, (&outcomes, "v"));
        assert_eq!(Goal::AtMost(10.0).verdict(&row), Verdict::Holds);
        assert_eq!(Goal::AtMost(8.0).verdict(&row), Verdict::Misses("x1.25".into()));
        assert_eq!(Goal::AtLeast(10.0).verdict(&row), Verdict::Holds);
        assert_eq!(Goal::TimesFloor(0.5).verdict(&row), Verdict::Holds);
        assert_eq!(Goal::TimesFloor(1.0).verdict(&row), Verdict::Misses("x0.62".into()));
        assert_eq!(Goal::TimesPeer("etcd".into(), 2.0).verdict(&row), Verdict::Holds);
        assert_eq!(Goal::TimesPeer("redis".into(), 2.0).verdict(&row), Verdict::Unknown);
    }
}

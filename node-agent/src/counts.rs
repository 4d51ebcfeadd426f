//! How often each event was told, so that a count goes on where an earlier start of the agent left it.

use std::collections::BTreeMap;

use drover_types::kinds::core::Event;
use drover_wire::ReportItem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most events that are counted at once; beyond it the one that is oldest begins anew.
const MAX_EVENTS: usize = 1000;

/// What was told, by what it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Counts(BTreeMap<String, Counted>);

/// How often, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) count: u32,
    pub(crate) first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Counts {
    /// Takes note of what is told, if it is an event.
    pub(crate) fn note(&mut self, about: &str, item: &ReportItem) {
        let ReportItem::Event { object } = item else { return };
        let Ok(event) = Event::deserialize(object) else { return };
        let counted =
            Counted { count: event.count, first: event.first_timestamp, last: event.last_timestamp };
        self.0.insert(about.to_owned(), counted);
        while self.0.len() > MAX_EVENTS {
            let oldest = self.0.iter().min_by_key(|(_, counted)| counted.last);
            let Some(oldest) = oldest.map(|(about, _)| about.clone()) else { return };
            self.0.remove(&oldest);
        }
    }

    /// What was told about this so far.
    pub(crate) fn of(&self, about: &str) -> Option<&Counted> {
        self.0.get(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_thousand_are_counted() {
        let mut counts = Counts::default();
        for second in 0..=1000 {
            let last = Timestamp::from_second(second).unwrap();
            let object = serde_json::json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"},
                "involvedObject": {}, "count": 3, "lastTimestamp": last});
            counts.note(&second.to_string(), &ReportItem::Event { object });
        }
        assert_eq!(counts.0.len(), MAX_EVENTS);
        assert!(counts.of("0").is_none());
        assert_eq!(counts.of("1").map(|counted| counted.count), Some(3));
    }
}

//! How far a node's reports are stored: written in the transaction that stores what they say. Pure.

use drover_wire::{Accepted, Report};
use serde::{Deserialize, Serialize};

/// Where the marker of a Node lies: outside of what a watch can show.
pub(crate) fn key(node_uid: &str) -> String {
    format!("{PREFIX}{node_uid}")
}

/// Where all of them lie.
pub(crate) const PREFIX: &str = "/reports/";

/// How far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Marker {
    /// The last report that is stored whole.
    accepted: Accepted,
    /// The report that is stored in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial: Option<Partial>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partial {
    report: Accepted,
    items: usize,
}

/// What is to become of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is stored already.
    Replayed,
    /// It is older than what an earlier start of the agent could still send.
    Stale,
    /// It is new; so many of its items are stored already.
    New {
        /// How many.
        done: usize,
        /// Whether reports between it and the last one are missing.
        gap: bool,
    },
}

fn place(report: &Report) -> Accepted {
    Accepted { agent_epoch: report.agent_epoch, sequence: report.sequence }
}

impl Marker {
    /// The last report that is stored whole.
    pub(crate) fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// What is to become of a report.
    pub(crate) fn judge(&self, report: &Report) -> Verdict {
        let at = place(report);
        if at.agent_epoch < self.accepted.agent_epoch {
            return Verdict::Stale;
        }
        if at <= self.accepted {
            return Verdict::Replayed;
        }
        let same_start = at.agent_epoch == self.accepted.agent_epoch;
        let gap = same_start && at.sequence != self.accepted.sequence.saturating_add(1);
        let done = self.partial.filter(|partial| partial.report == at).map_or(0, |partial| partial.items);
        Verdict::New { done, gap }
    }

    /// The marker once so many items of a report are stored.
    pub(crate) fn after(&self, report: &Report, items: usize) -> Self {
        if items >= report.items.len() {
            return Self { accepted: place(report), partial: None };
        }
        Self { partial: Some(Partial { report: place(report), items }), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use drover_wire::{NodeFacts, ReportItem};

    use super::*;

    fn report(agent_epoch: u64, sequence: u64) -> Report {
        let item = || ReportItem::Node { facts: NodeFacts::default() };
        Report { agent_epoch, sequence, items: vec![item(), item()] }
    }

    #[test]
    fn a_report_counts_once_and_goes_on_where_it_was_cut() {
        let marker = Marker::default();
        assert_eq!(marker.judge(&report(1, 1)), Verdict::New { done: 0, gap: false });
        let cut = marker.after(&report(1, 1), 1);
        assert_eq!(cut.accepted(), Accepted::default());
        assert_eq!(cut.judge(&report(1, 1)), Verdict::New { done: 1, gap: false });
        let whole = cut.after(&report(1, 1), 2);
        assert_eq!(whole.judge(&report(1, 1)), Verdict::Replayed);
        assert_eq!(whole.judge(&report(1, 2)), Verdict::New { done: 0, gap: false });
        assert_eq!(whole.judge(&report(1, 4)), Verdict::New { done: 0, gap: true });
        assert_eq!(whole.judge(&report(2, 1)), Verdict::New { done: 0, gap: false });
        assert_eq!(whole.after(&report(2, 1), 2).judge(&report(1, 9)), Verdict::Stale);
    }

    #[test]
    fn it_comes_back_from_the_store_as_it_was() {
        let marker = Marker::default().after(&report(3, 9), 1);
        let stored = serde_json::to_vec(&marker).unwrap();
        assert_eq!(serde_json::from_slice::<Marker>(&stored).unwrap(), marker);
    }
}

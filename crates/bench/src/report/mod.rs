//! What was measured, as rows: ours beside the floor and the peers, and whether the goals hold.

pub(crate) mod conditions;
mod goal;
mod json;
mod table;

pub(crate) use goal::Goal;
pub(crate) use json::write as write_json;
pub(crate) use table::{print, short};

use serde::Serialize;

use crate::contest::{Outcome, Part};
use crate::stats::Spread;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// More is better.
    #[serde(rename = "/s")]
    PerSecond,
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "KiB")]
    Kibibytes,
    #[serde(rename = "% of a core")]
    CorePercent,
    /// A number of something.
    #[serde(rename = "")]
    Count,
}

impl Unit {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Millis => "ms",
            Self::Mebibytes => "MiB",
            Self::Kibibytes => "KiB",
            Self::CorePercent => "% core",
            Self::Count => "",
        }
    }

    pub(crate) fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }
}

/// One contestant's value in a row.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) part: Part,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) spread: Option<Spread>,
    pub(crate) samples: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) absent: Option<String>,
    /// The most cores that others used meanwhile.
    pub(crate) foreign_cores: Option<f64>,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// As in P1.
    pub(crate) id: String,
    /// What is measured.
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) entries: Vec<Entry>,
    pub(crate) goals: Vec<Goal>,
    /// What an answer stands for, and whether there is TLS: ours, then whom it differs for.
    pub(crate) class: String,
}

impl Row {
    /// The value `key` of every contestant that has it. Contestants that are absent are shown so.
    pub(crate) fn of(id: &str, what: &str, unit: Unit, (outcomes, key): (&[Outcome], &str)) -> Self {
        let entries = outcomes
            .iter()
            .filter_map(|outcome| {
                let spread = outcome.spread(key);
                (spread.is_some() || outcome.absent.is_some()).then(|| Entry {
                    part: outcome.part,
                    name: outcome.name.clone(),
                    spread,
                    samples: outcome.samples(),
                    absent: outcome.absent.clone().filter(|_| spread.is_none()),
                    foreign_cores: outcome.foreign,
                })
            })
            .collect();
        Self { id: id.into(), what: what.into(), unit, entries, goals: Vec::new(), class: String::new() }
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    pub(crate) fn class(mut self, class: &str) -> Self {
        self.class = class.into();
        self
    }

    pub(crate) fn ours(&self) -> Option<&Spread> {
        self.entries.iter().find(|entry| entry.part == Part::Ours)?.spread.as_ref()
    }

    /// Our value as a multiple of a contestant's.
    pub(crate) fn times(&self, part: Part, name: Option<&str>) -> Option<f64> {
        let other = self.entries.iter().find(|entry| {
            entry.part == part && name.is_none_or(|name| entry.name == name) && entry.spread.is_some()
        })?;
        let base = other.spread?.median;
        (base > 0.0).then(|| self.ours().map(|ours| ours.median / base)).flatten()
    }
}

/// A line of what goes on, for whoever waits.
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}

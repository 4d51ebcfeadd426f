//! The request for a run's output.

use drover_client::Query;
use drover_types::{Duration, Kind};
use jiff::Timestamp;

use crate::connect::object_path;

/// How much of a run's output is wanted, and in which form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogQuery {
    /// Go on as more is written, until the run is over.
    pub(crate) follow: bool,
    /// So many lines from the end.
    pub(crate) tail: Option<u64>,
    /// What is not older.
    pub(crate) since: Option<Duration>,
    /// What is not older.
    pub(crate) since_time: Option<Timestamp>,
    /// The time before each line.
    pub(crate) timestamps: bool,
}

impl LogQuery {
    /// The path of a run's output, with the query.
    pub(crate) fn path(&self, namespace: &str, run: &str) -> String {
        // A part of a second more is shown rather than one less.
        let seconds = self.since.map(|since| since.as_millis().div_ceil(1000).to_string());
        Query::new(&format!("{}/log", object_path(Kind::Run, namespace, run)))
            .with_some("follow", self.follow.then_some("true"))
            .with_some("tailLines", self.tail.map(|lines| lines.to_string()).as_deref())
            .with_some("sinceSeconds", seconds.as_deref())
            .with_some("sinceTime", self.since_time.map(|time| time.to_string()).as_deref())
            .with_some("timestamps", self.timestamps.then_some("true"))
            .into_path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_in_the_query() {
        let path = "/apis/drover.dev/v1/namespaces/default/runs/beat-1/log";
        assert_eq!(LogQuery::default().path("default", "beat-1"), path);
        let all = LogQuery {
            follow: true,
            tail: Some(10),
            since: Some(Duration::from_millis(1500)),
            since_time: Some("2026-08-01T12:00:00Z".parse().unwrap()),
            timestamps: true,
        };
        assert_eq!(
            all.path("default", "beat-1"),
            format!(
                "{path}?follow=true&tailLines=10&sinceSeconds=2&sinceTime=2026-08-01T12%3A00%3A00Z&timestamps=true"
            )
        );
    }
}

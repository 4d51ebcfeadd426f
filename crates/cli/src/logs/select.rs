//! Which of a workload's runs are shown: the newest on each node, of each replica.

use std::collections::BTreeMap;

use serde_json::Value;

use drover_columns::fields::{number, text};

/// Whether a run ever had a process, and so may have output.
pub(super) fn has_started(run: &Value) -> bool {
    !matches!(text(run, "/status/phase"), "" | "Pending" | "Skipped")
}

/// The newest started run of each node and replica, in that order.
pub(super) fn newest(runs: &[Value]) -> Vec<&Value> {
    let mut found: BTreeMap<(&str, i64), &Value> = BTreeMap::new();
    for run in runs.iter().filter(|run| has_started(run)) {
        let place = (text(run, "/spec/nodeName"), number(run, "/spec/replica").unwrap_or(0));
        let held = found.entry(place).or_insert(run);
        if order(run) > order(held) {
            *held = run;
        }
    }
    found.into_values().collect()
}

/// Older first. A run that could not be started has no `startedAt`; its uid, made at its claim, still tells.
pub(crate) fn order(run: &Value) -> (Option<jiff::Timestamp>, &str) {
    let started = drover_columns::fields::time(run, "/status/startedAt");
    let since = started.or_else(|| drover_columns::fields::time(run, "/metadata/creationTimestamp"));
    (since, text(run, "/metadata/uid"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(name: &str, node: &str, replica: i64, (phase, started): (&str, &str)) -> Value {
        json!({
            "metadata": {"name": name}, "spec": {"nodeName": node, "replica": replica},
            "status": {"phase": phase, "startedAt": started},
        })
    }

    #[test]
    fn the_newest_started_run_of_each_node_and_replica_is_shown() {
        let runs = [
            run("old", "b", 0, ("Failed", "2026-08-01T11:00:00Z")),
            run("new", "b", 0, ("Running", "2026-08-01T11:00:00.5Z")),
            run("other", "b", 1, ("Running", "2026-08-01T10:00:00Z")),
            run("only", "a", 0, ("Lost", "2026-08-01T10:00:00Z")),
            run("skipped", "a", 0, ("Skipped", "2026-08-01T12:00:00Z")),
            run("waits", "c", 0, ("Pending", "")),
        ];
        let names: Vec<&str> = newest(&runs).into_iter().map(drover_columns::fields::name).collect();
        assert_eq!(names, ["only", "new", "other"]);
    }
}

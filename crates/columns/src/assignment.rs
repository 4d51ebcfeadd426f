//! Columns of Assignment.

use serde_json::Value;

use crate::ages;
use crate::fields::{NONE, condition, count, text, text_or_none, time};
use crate::{AGE, Column, NAME, column, wide};

pub(super) const COLUMNS: [Column; 12] = [
    NAME,
    column("WORKLOAD", |object, _| workload(object)),
    column("NODE", |object, _| text_or_none(object, "/spec/nodeName")),
    column("READY", |object, _| ready(object, "/status")),
    column("ACTIVE", |object, _| count(object, "/status/active")),
    column("LAST-PHASE", |object, _| text_or_none(object, "/status/lastPhase")),
    column("NEXT", |object, now| ages::until(time(object, "/status/nextScheduleTime"), now)),
    AGE,
    wide("REASON", |object, _| ready(object, "/reason")),
    wide("OUTCOME", |object, _| text_or_none(object, "/status/outcome")),
    wide("RESTARTS", |object, _| count(object, "/status/restarts")),
    wide("SKIPPED", |object, _| count(object, "/status/skipped")),
];

/// `timer/beat`, of an object that has a `workloadRef`.
pub(super) fn workload(object: &Value) -> String {
    match (text(object, "/spec/workloadRef/kind"), text(object, "/spec/workloadRef/name")) {
        (_, "") => NONE.to_owned(),
        (kind, name) => format!("{}/{name}", kind.to_ascii_lowercase()),
    }
}

fn ready(object: &Value, member: &str) -> String {
    condition(object, "Ready").map_or_else(|| NONE.to_owned(), |held| text_or_none(held, member))
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use serde_json::json;

    use crate::tests::check;

    #[test]
    fn an_assignment_shows_what_it_is_of_and_where_it_stands() {
        let object = json!({
            "metadata": {"name": "beat-a"},
            "spec": {"nodeName": "a", "workloadRef": {"kind": "Timer", "name": "beat"}},
            "status": {
                "active": 1, "restarts": 0, "skipped": 2, "lastPhase": "Failed",
                "nextScheduleTime": "2026-08-01T11:59:59Z",
                "conditions": [{"type": "Ready", "status": "False", "reason": "ConfigMissing"}],
            },
        });
        check(
            Kind::Assignment,
            &object,
            &[
                ("NAME", "beat-a"),
                ("WORKLOAD", "timer/beat"),
                ("NODE", "a"),
                ("READY", "False"),
                ("ACTIVE", "1"),
                ("LAST-PHASE", "Failed"),
                ("NEXT", "now"),
                ("AGE", "<none>"),
                ("REASON", "ConfigMissing"),
                ("OUTCOME", "<none>"),
                ("RESTARTS", "0"),
                ("SKIPPED", "2"),
            ],
        );
    }
}

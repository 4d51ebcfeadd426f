//! Columns of Run.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::ages;
use crate::assignment::workload;
use crate::fields::{NONE, condition, holds, number, text, text_or_none, time};
use crate::{Column, NAME, column, wide};

pub(super) const COLUMNS: [Column; 13] = [
    NAME,
    column("NODE", |object, _| text_or_none(object, "/spec/nodeName")),
    column("PHASE", |object, _| phase(object)),
    column("EXIT", |object, _| exit(object)),
    column("STARTED", |object, now| ages::since(time(object, "/status/startedAt"), now)),
    column("DURATION", duration),
    column("REASON", |object, _| reason(object)),
    wide("WORKLOAD", |object, _| workload(object)),
    wide("TRIGGER", |object, _| text_or_none(object, "/spec/trigger/type")),
    wide("ATTEMPT", |object, _| number(object, "/spec/attempt").map_or("-".into(), |n| n.to_string())),
    wide("REPLICA", |object, _| number(object, "/spec/replica").map_or("-".into(), |n| n.to_string())),
    wide("CPU", |object, _| cpu(object)),
    wide("MAXRSS", |object, _| max_rss(object)),
];

fn phase(object: &Value) -> String {
    let phase = text_or_none(object, "/status/phase");
    // What the phase says was true when the node was last heard of.
    if holds(object, "NodeUnreachable") { format!("{phase}?") } else { phase }
}

/// Exit code, or the signal that ended it.
pub fn exit(object: &Value) -> String {
    match (number(object, "/status/exitCode"), text(object, "/status/signal")) {
        (Some(code), _) => code.to_string(),
        (None, "") => "-".to_owned(),
        (None, signal) => signal.to_owned(),
    }
}

/// How long it took, or takes so far.
pub fn duration(object: &Value, now: Timestamp) -> String {
    let end = match (time(object, "/status/finishedAt"), text(object, "/status/phase")) {
        (Some(end), _) => end,
        (None, "Running") => now,
        (None, _) => return NONE.to_owned(),
    };
    time(object, "/status/startedAt")
        .map_or_else(|| NONE.to_owned(), |start| ages::took(end.duration_since(start)))
}

fn reason(object: &Value) -> String {
    match (text(object, "/status/reason"), condition(object, "NodeUnreachable")) {
        ("", Some(held)) if text(held, "/status") == "True" => "NodeUnreachable".to_owned(),
        ("", _) => NONE.to_owned(),
        (reason, _) => reason.to_owned(),
    }
}

fn cpu(object: &Value) -> String {
    let micros = ["/status/usage/userMicros", "/status/usage/systemMicros"];
    let spent: Vec<i64> = micros.iter().filter_map(|pointer| number(object, pointer)).collect();
    if spent.is_empty() { "-".into() } else { ages::took(SignedDuration::from_micros(spent.iter().sum())) }
}

fn max_rss(object: &Value) -> String {
    match number(object, "/status/usage/maxRssBytes") {
        None => "-".to_owned(),
        Some(bytes @ ..1_048_576) => format!("{}Ki", bytes / 1024),
        Some(bytes) => format!("{}Mi", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use serde_json::json;

    use super::*;
    use crate::tests::{check, noon};

    #[test]
    fn a_run_shows_where_how_long_and_how_it_ended() {
        let run = json!({
            "metadata": {"name": "beat-0123456789ab"},
            "spec": {"nodeName": "a", "workloadRef": {"kind": "Timer", "name": "beat"}, "attempt": 2,
                "trigger": {"type": "Schedule"}},
            "status": {"phase": "Failed", "exitCode": 3, "reason": "ExitCode",
                "startedAt": "2026-08-01T11:58:00Z", "finishedAt": "2026-08-01T11:58:02.340Z",
                "usage": {"userMicros": 1500, "systemMicros": 700, "maxRssBytes": 3_145_728}},
        });
        check(
            Kind::Run,
            &run,
            &[
                ("NAME", "beat-0123456789ab"),
                ("NODE", "a"),
                ("PHASE", "Failed"),
                ("EXIT", "3"),
                ("STARTED", "2m"),
                ("DURATION", "2.3s"),
                ("REASON", "ExitCode"),
                ("WORKLOAD", "timer/beat"),
                ("TRIGGER", "Schedule"),
                ("ATTEMPT", "2"),
                ("REPLICA", "-"),
                ("CPU", "2ms"),
                ("MAXRSS", "3Mi"),
            ],
        );
    }

    #[test]
    fn a_run_on_a_node_that_is_away_says_so() {
        let run = json!({"status": {
            "phase": "Running", "startedAt": "2026-08-01T11:59:00Z",
            "conditions": [{"type": "NodeUnreachable", "status": "True"}],
        }});
        assert_eq!((phase(&run).as_str(), reason(&run).as_str()), ("Running?", "NodeUnreachable"));
        assert_eq!((exit(&run).as_str(), duration(&run, noon()).as_str()), ("-", "60s"));
        assert_eq!(exit(&json!({"status": {"signal": "SIGKILL"}})), "SIGKILL");
    }
}

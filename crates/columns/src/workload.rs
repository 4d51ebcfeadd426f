//! Columns of Timer, Task and Service.

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use crate::ages;
use crate::fields::{NONE, count, holds, list, number, pairs, ratio, text, text_or_none, time};
use crate::{AGE, Column, NAME, column, wide};

pub(super) const TIMER: [Column; 11] = [
    NAME,
    column("SCHEDULE", |object, _| schedule(object)),
    column("SUSPEND", |object, _| flag(object, "/spec/suspend")),
    column("NODES", |object, _| ratio(object, "/status/ready", "/status/desired")),
    column("FAILING", |object, _| count(object, "/status/failing")),
    column("LAST", |object, now| ages::since(time(object, "/status/lastScheduleTime"), now)),
    column("NEXT", |object, now| ages::until(time(object, "/status/nextScheduleTime"), now)),
    AGE,
    wide("ACTIVE", |object, _| count(object, "/status/active")),
    wide("PLACEMENT", |object, _| placement(Kind::Timer, object)),
    wide("COMMAND", |object, _| command(object)),
];

pub(super) const TASK: [Column; 9] = [
    NAME,
    column("MODE", |object, _| mode(object).to_owned()),
    column("STATUS", |object, _| state(object).to_owned()),
    column("SUCCEEDED", |object, _| ratio(object, "/status/succeeded", "/status/desired")),
    column("FAILED", |object, _| count(object, "/status/failed")),
    column("DURATION", task_duration),
    AGE,
    wide("PLACEMENT", |object, _| placement(Kind::Task, object)),
    wide("COMMAND", |object, _| command(object)),
];

pub(super) const SERVICE: [Column; 8] = [
    NAME,
    column("READY", |object, _| ratio(object, "/status/ready", "/status/desired")),
    column("FAILING", |object, _| count(object, "/status/failing")),
    column("RESTARTS", |object, _| count(object, "/status/restarts")),
    AGE,
    wide("REPLICAS", |object, _| number(object, "/spec/replicas").unwrap_or(1).to_string()),
    wide("PLACEMENT", |object, _| placement(Kind::Service, object)),
    wide("COMMAND", |object, _| command(object)),
];

fn flag(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false).to_string()
}

/// When a Timer fires, as it was written.
pub fn schedule(object: &Value) -> String {
    if object.pointer("/spec/onBoot").and_then(Value::as_bool) == Some(true) {
        return "on boot".to_owned();
    }
    match (text(object, "/spec/every"), text(object, "/spec/cron"), text(object, "/spec/at")) {
        ("", "", "") => NONE.to_owned(),
        ("", "", at) => format!("at {at}"),
        ("", cron, _) => match text(object, "/spec/timeZone") {
            "" | "UTC" => cron.to_owned(),
            zone => format!("{cron} ({zone})"),
        },
        (every, _, _) => format!("every {every}"),
    }
}

fn mode(object: &Value) -> &str {
    match text(object, "/spec/mode") {
        "" if !list(object, "/spec/params").is_empty() => "OnDemand",
        "" => "Once",
        mode => mode,
    }
}

/// How far a Task is, in one word.
pub fn state(object: &Value) -> &'static str {
    if holds(object, "Failed") {
        "Failed"
    } else if holds(object, "Complete") {
        "Complete"
    } else if mode(object) == "OnDemand" {
        "Callable"
    } else if number(object, "/status/active").is_some_and(|active| active > 0) {
        "Running"
    } else {
        "Pending"
    }
}

fn task_duration(object: &Value, now: Timestamp) -> String {
    let Some(start) = time(object, "/status/startTime") else { return NONE.to_owned() };
    let end = time(object, "/status/completionTime").unwrap_or(now);
    ages::took(end.duration_since(start))
}

/// Where a workload runs, in a few words.
pub fn placement(kind: Kind, object: &Value) -> String {
    let Some(held) = object.pointer("/spec/placement") else {
        let called = kind == Kind::Task && mode(object) == "OnDemand";
        return if called { "by its caller" } else { "all nodes" }.to_owned();
    };
    let node = text(held, "/nodeName");
    if !node.is_empty() {
        return format!("node {node}");
    }
    let mut words = pairs(held, "/nodeSelector");
    words.extend(list(held, "/matchExpressions").iter().map(expression));
    let which = if words.is_empty() { "all nodes".to_owned() } else { words.join(",") };
    match number(held, "/count") {
        Some(count) => format!("{count} of {which}"),
        None => which,
    }
}

/// A requirement in the form that `-l` takes.
fn expression(requirement: &Value) -> String {
    let key = text_or_none(requirement, "/key");
    let values: Vec<&str> = list(requirement, "/values").iter().filter_map(Value::as_str).collect();
    let values = values.join(",");
    match text(requirement, "/operator") {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "Exists" => key,
        "DoesNotExist" => format!("!{key}"),
        "Gt" => format!("{key}>{values}"),
        "Lt" => format!("{key}<{values}"),
        other => format!("{key} {other} {values}"),
    }
}

/// What a workload executes, cut to one short line.
fn command(object: &Value) -> String {
    const LONGEST: usize = 60;
    let words = ["/spec/template/process/command", "/spec/template/process/args"];
    let words: Vec<&str> =
        words.iter().flat_map(|pointer| list(object, pointer)).filter_map(Value::as_str).collect();
    let joined = words.join(" ");
    let script = text(object, "/spec/template/process/script");
    let mut script = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("#!"));
    let line = if words.is_empty() { script.next().unwrap_or_default() } else { &joined };
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None if line.is_empty() => NONE.to_owned(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::check;

    #[test]
    fn a_timer_shows_its_schedule_its_nodes_and_its_ticks() {
        let timer = json!({
            "metadata": {"name": "beat", "creationTimestamp": "2026-08-01T11:00:00Z"},
            "spec": {
                "cron": "*/5 * * * *", "timeZone": "Europe/Berlin",
                "placement": {"nodeSelector": {"tier": "web"}, "count": 3,
                    "matchExpressions": [{"key": "dc", "operator": "In", "values": ["a", "b"]}]},
                "template": {"process": {"command": ["/bin/beat"], "args": ["-x"]}},
            },
            "status": {
                "desired": 3, "ready": 2, "failing": 1, "active": 0,
                "lastScheduleTime": "2026-08-01T11:59:00Z", "nextScheduleTime": "2026-08-01T12:05:00Z",
            },
        });
        check(
            Kind::Timer,
            &timer,
            &[
                ("NAME", "beat"),
                ("SCHEDULE", "*/5 * * * * (Europe/Berlin)"),
                ("SUSPEND", "false"),
                ("NODES", "2/3"),
                ("FAILING", "1"),
                ("LAST", "60s"),
                ("NEXT", "in 5m"),
                ("AGE", "60m"),
                ("ACTIVE", "0"),
                ("PLACEMENT", "3 of tier=web,dc in (a,b)"),
                ("COMMAND", "/bin/beat -x"),
            ],
        );
    }

    #[test]
    fn a_task_shows_how_far_it_is() {
        let task = json!({
            "metadata": {"name": "t"},
            "spec": {"placement": {"nodeName": "a"}, "template": {"process": {"script": "#!/bin/sh\n\n echo hi\n"}}},
            "status": {"desired": 2, "succeeded": 1, "failed": 0, "active": 1, "startTime": "2026-08-01T11:59:30Z"},
        });
        check(
            Kind::Task,
            &task,
            &[
                ("NAME", "t"),
                ("MODE", "Once"),
                ("STATUS", "Running"),
                ("SUCCEEDED", "1/2"),
                ("FAILED", "0"),
                ("DURATION", "30s"),
                ("AGE", "<none>"),
                ("PLACEMENT", "node a"),
                ("COMMAND", "echo hi"),
            ],
        );
        let on_demand = json!({"spec": {"params": [{"name": "x"}]}});
        assert_eq!(
            (state(&on_demand), placement(Kind::Task, &on_demand).as_str()),
            ("Callable", "by its caller")
        );
        let failed = json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}});
        assert_eq!(state(&failed), "Failed");
    }

    #[test]
    fn a_service_shows_how_many_run_and_how_often_they_were_restarted() {
        let service = json!({
            "metadata": {"name": "s", "creationTimestamp": "2026-07-30T12:00:00Z"}, "spec": {"replicas": 2},
            "status": {"desired": 4, "ready": 3, "failing": 1, "restarts": 17},
        });
        check(
            Kind::Service,
            &service,
            &[
                ("NAME", "s"),
                ("READY", "3/4"),
                ("FAILING", "1"),
                ("RESTARTS", "17"),
                ("AGE", "2d"),
                ("REPLICAS", "2"),
                ("PLACEMENT", "all nodes"),
                ("COMMAND", "<none>"),
            ],
        );
        let boot = json!({"spec": {"onBoot": true}});
        assert_eq!(
            (schedule(&boot).as_str(), schedule(&json!({"spec": {"every": "5s"}})).as_str()),
            ("on boot", "every 5s")
        );
    }
}

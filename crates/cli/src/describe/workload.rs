//! Pages of Timer, Task, Service and Assignment.

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use super::page::Page;
use super::{Facts, chain, conditions, when};
use drover_columns::fields::{NONE, count, list, number, pairs, share, text, text_or_none};
use drover_columns::{placement, schedule, task_state};

fn spec(page: &mut Page, object: &Value, fields: &[(&str, &str)]) {
    for (title, pointer) in fields {
        let value = match object.pointer(pointer) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        page.field(title, &value);
    }
}

fn where_it_runs(page: &mut Page, kind: Kind, object: &Value) {
    page.field("Placement", &placement(kind, object));
    spec(page, object, &[("Failover after", "/spec/placement/failoverAfter")]);
    let tolerations = list(object, "/spec/placement/tolerations");
    let tolerations: Vec<String> = tolerations.iter().map(Value::to_string).collect();
    page.field_if("Tolerations", &tolerations.join("\n"));
}

fn template(page: &mut Page, object: &Value, pointer: &str) {
    if let Some(template) = object.pointer(pointer) {
        page.block("Template", &drover_manifest::emit(template));
    }
}

pub(super) fn timer(page: &mut Page, facts: &Facts, now: Timestamp) {
    let object = &facts.object;
    page.field("Schedule", &schedule(object));
    spec(
        page,
        object,
        &[
            ("Splay", "/spec/splay"),
            ("DST", "/spec/dst"),
            ("Suspend", "/spec/suspend"),
            ("Concurrency", "/spec/concurrencyPolicy"),
            ("Catch up", "/spec/catchUp"),
            ("Starting deadline", "/spec/startingDeadline"),
        ],
    );
    where_it_runs(page, Kind::Timer, object);
    page.field("Nodes", &share(object, ("/status/ready", "/status/desired"), "ready"));
    page.field("Failing", &count(object, "/status/failing"));
    page.field("Active", &count(object, "/status/active"));
    page.field("Last tick", &when(object, "/status/lastScheduleTime", now));
    page.field("Last success", &when(object, "/status/lastSuccessfulTime", now));
    page.field("Next tick", &when(object, "/status/nextScheduleTime", now));
    conditions(page, object, now);
    template(page, object, "/spec/template");
    chain::assignments(page, &facts.assignments, &["WORKLOAD"], now);
    chain::runs(page, &facts.runs, now);
}

pub(super) fn task(page: &mut Page, facts: &Facts, now: Timestamp) {
    let object = &facts.object;
    let state = task_state(object);
    page.field("State", state);
    where_it_runs(page, Kind::Task, object);
    page.field_if("Params", &list(object, "/spec/params").iter().map(param).collect::<Vec<_>>().join("\n"));
    page.field_if("Param values", &pairs(object, "/spec/paramValues").join("\n"));
    spec(
        page,
        object,
        &[("Idempotency key", "/spec/idempotencyKey"), ("TTL after finished", "/spec/ttlAfterFinished")],
    );
    if state != "Callable" {
        page.field("Succeeded", &share(object, ("/status/succeeded", "/status/desired"), "nodes"));
        page.field("Active", &count(object, "/status/active"));
        page.field("Failed", &count(object, "/status/failed"));
        page.field("Started", &when(object, "/status/startTime", now));
        page.field("Finished", &when(object, "/status/completionTime", now));
    }
    conditions(page, object, now);
    template(page, object, "/spec/template");
    if state == "Callable" || !facts.calls.is_empty() {
        chain::calls(page, &facts.calls, now);
    } else {
        chain::assignments(page, &facts.assignments, &["WORKLOAD", "NEXT"], now);
        chain::runs(page, &facts.runs, now);
    }
}

fn param(param: &Value) -> String {
    let type_ = match text(param, "/type") {
        "" => "string",
        type_ => type_,
    };
    let required = param.get("required").and_then(Value::as_bool) == Some(true);
    let default = param.get("default").map(|value| format!(", default {value}")).unwrap_or_default();
    let only = list(param, "/enum").iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let only = if only.is_empty() { only } else { format!(", one of {only}") };
    let required = if required { ", required" } else { "" };
    format!("{} ({type_}{required}{default}{only})", text(param, "/name"))
}

pub(super) fn service(page: &mut Page, facts: &Facts, now: Timestamp) {
    let object = &facts.object;
    page.field("Replicas", &format!("{} on each node", number(object, "/spec/replicas").unwrap_or(1)));
    let policy = match text(object, "/spec/restart/policy") {
        "" => "Always",
        policy => policy,
    };
    page.field("Restart", policy);
    spec(
        page,
        object,
        &[("Restart backoff", "/spec/restart/backoff"), ("Longest backoff", "/spec/restart/maxBackoff")],
    );
    where_it_runs(page, Kind::Service, object);
    page.field("Ready", &share(object, ("/status/ready", "/status/desired"), "processes"));
    page.field("Failing", &count(object, "/status/failing"));
    page.field("Restarts", &count(object, "/status/restarts"));
    conditions(page, object, now);
    template(page, object, "/spec/template");
    chain::assignments(page, &facts.assignments, &["WORKLOAD", "NEXT"], now);
    chain::runs(page, &facts.runs, now);
}

pub(super) fn assignment(page: &mut Page, facts: &Facts, now: Timestamp) {
    let object = &facts.object;
    let kind = text(object, "/spec/workloadRef/kind").to_ascii_lowercase();
    let workload = if kind.is_empty() {
        NONE.to_owned()
    } else {
        format!("{kind}/{}", text(object, "/spec/workloadRef/name"))
    };
    page.field("Workload", &workload);
    page.field("Node", &text_or_none(object, "/spec/nodeName"));
    spec(page, object, &[("Lease", "/spec/lease"), ("Evicted", "/spec/evicted")]);
    page.field("Active", &count(object, "/status/active"));
    match kind.as_str() {
        "service" => {
            page.field("Ready", &count(object, "/status/ready"));
            page.field("Restarts", &count(object, "/status/restarts"));
        }
        "task" => {
            page.field("Outcome", &text_or_none(object, "/status/outcome"));
            page.field("Started", &when(object, "/status/startTime", now));
            page.field("Finished", &when(object, "/status/completionTime", now));
        }
        _ => {
            page.field("Last tick", &when(object, "/status/lastScheduleTime", now));
            page.field("Next tick", &when(object, "/status/nextScheduleTime", now));
            page.field("Skipped", &count(object, "/status/skipped"));
        }
    }
    page.field("Last success", &when(object, "/status/lastSuccessfulTime", now));
    page.field("Last phase", &text_or_none(object, "/status/lastPhase"));
    conditions(page, object, now);
    template(page, object, &format!("/spec/{kind}/template"));
    chain::runs(page, &facts.runs, now);
}

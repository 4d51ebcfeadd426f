//! The page of a Node: the host, how it is reached, and what it runs.

use jiff::Timestamp;
use serde_json::Value;

use super::page::Page;
use super::{Facts, chain, conditions, when};
use drover_columns::fields::{list, pairs, text, text_or_none};

pub(super) fn describe(page: &mut Page, facts: &Facts, now: Timestamp) {
    let object = &facts.object;
    page.field("Pool", &text_or_none(object, "/status/pool"));
    page.field("Taints", &list(object, "/spec/taints").iter().map(taint).collect::<Vec<_>>().join("\n"));
    let cordoned = object.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true);
    page.field("Unschedulable", if cordoned { "true" } else { "false" });
    page.field("Session", &session(object, now));
    conditions(page, object, now);
    let addresses: Vec<Vec<String>> = list(object, "/status/addresses")
        .iter()
        .map(|held| vec![text_or_none(held, "/type"), text_or_none(held, "/address")])
        .collect();
    page.table("Addresses", "", &["TYPE", "ADDRESS"], &addresses);
    page.field("Capacity", &pairs(object, "/status/capacity").join("\n"));
    for (title, member) in [
        ("OS image", "osImage"),
        ("Kernel", "kernelVersion"),
        ("Architecture", "architecture"),
        ("Agent version", "kubeletVersion"),
        ("Time zone data", "timeZoneData"),
        ("Machine id", "machineID"),
        ("Boot id", "bootID"),
    ] {
        page.field_if(title, text(object, &format!("/status/nodeInfo/{member}")));
    }
    chain::assignments(page, &facts.assignments, &["NODE"], now);
    chain::runs(page, &facts.runs, now);
}

/// As kubectl writes it: `key=value:effect`.
fn taint(taint: &Value) -> String {
    let value = match text(taint, "/value") {
        "" => String::new(),
        value => format!("={value}"),
    };
    format!("{}{value}:{}", text(taint, "/key"), text(taint, "/effect"))
}

fn session(object: &Value, now: Timestamp) -> String {
    let since = when(object, "/status/session/changedAt", now);
    match object.pointer("/status/session/connected").and_then(Value::as_bool) {
        None => "never connected".to_owned(),
        Some(true) => format!("connected since {since}"),
        Some(false) => format!("disconnected since {since}"),
    }
}

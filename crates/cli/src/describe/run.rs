//! The page of a Run.

use jiff::Timestamp;
use serde_json::Value;

use super::page::Page;
use super::{conditions, when};
use drover_columns::fields::{number, text, text_or_none};
use drover_columns::{run_duration, run_exit};

pub(super) fn describe(page: &mut Page, object: &Value, now: Timestamp) {
    let kind = text(object, "/spec/workloadRef/kind").to_ascii_lowercase();
    page.field("Workload", &format!("{kind}/{}", text_or_none(object, "/spec/workloadRef/name")));
    page.field("Assignment", &text_or_none(object, "/spec/assignmentRef"));
    page.field("Node", &text_or_none(object, "/spec/nodeName"));
    page.field("Trigger", &text_or_none(object, "/spec/trigger/type"));
    page.field_if("Trigger time", &when(object, "/spec/trigger/time", now));
    page.field("Attempt", &number(object, "/spec/attempt").unwrap_or(1).to_string());
    if let Some(replica) = number(object, "/spec/replica") {
        page.field("Replica", &replica.to_string());
    }
    page.field("Phase", &text_or_none(object, "/status/phase"));
    page.field_if("Reason", text(object, "/status/reason"));
    page.field_if("Message", text(object, "/status/message"));
    if let Some(pid) = number(object, "/status/pid") {
        page.field("Process id", &pid.to_string());
    }
    page.field("Exit", &run_exit(object));
    page.field("Started", &when(object, "/status/startedAt", now));
    page.field("Finished", &when(object, "/status/finishedAt", now));
    page.field("Duration", &run_duration(object, now));
    if object.pointer("/status/usage").is_some() {
        let used = |member: &str| number(object, &format!("/status/usage/{member}")).unwrap_or(0);
        let cpu = format!("{}ms user, {}ms system", used("userMicros") / 1000, used("systemMicros") / 1000);
        page.field("CPU", &cpu);
        page.field("Largest memory", &format!("{}Ki", used("maxRssBytes") / 1024));
    }
    conditions(page, object, now);
    match text(object, "/status/outputTail") {
        "" => page.field("Output", ""),
        tail => page.block("Output (the end of it)", tail),
    }
}

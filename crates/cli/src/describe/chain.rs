//! The chain below a workload: its Assignments, its Runs and their output, its Events. Each list is counted and cut.

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use super::page::Page;
use drover_columns::fields::{holds, name, text, time};

/// Rows of each list.
const ROWS: usize = 10;
/// Runs whose output is shown.
const OUTPUTS: usize = 3;
/// Lines of it.
const LINES: usize = 10;

/// How many there are, if not all are shown.
fn note(shown: usize, all: usize) -> String {
    match all {
        0 => String::new(),
        _ if shown == all => format!("{all}"),
        _ => format!("{shown} of {all}"),
    }
}

/// A table of some columns of a kind.
fn table(page: &mut Page, title: &str, (kind, without): (Kind, &[&str]), objects: &[&Value], now: Timestamp) {
    let columns: Vec<_> =
        drover_columns::of(kind).iter().filter(|c| !c.wide && !without.contains(&c.header)).collect();
    let headers: Vec<&str> = columns.iter().map(|column| column.header).collect();
    let rows: Vec<Vec<String>> = objects
        .iter()
        .take(ROWS)
        .map(|object| columns.iter().map(|column| (column.cell)(object, now)).collect())
        .collect();
    page.table(title, &note(rows.len(), objects.len()), &headers, &rows);
}

/// Assignments, those that are not well first.
pub(super) fn assignments(page: &mut Page, found: &[Value], without: &[&str], now: Timestamp) {
    let mut sorted: Vec<&Value> = found.iter().collect();
    sorted.sort_by_key(|object| (holds(object, "Ready"), text(object, "/spec/nodeName"), name(object)));
    table(page, "Assignments", (Kind::Assignment, without), &sorted, now);
}

/// Runs, the newest first, and the end of the output of the newest.
pub(super) fn runs(page: &mut Page, found: &[Value], now: Timestamp) {
    let mut sorted: Vec<&Value> = found.iter().collect();
    sorted.sort_by(|a, b| newest_last(b).cmp(&newest_last(a)));
    table(page, "Runs", (Kind::Run, &[]), &sorted, now);
    let with_output = sorted.iter().filter(|run| !text(run, "/status/outputTail").is_empty());
    for run in with_output.take(OUTPUTS) {
        let title = format!("Output of {} on {}", name(run), text(run, "/spec/nodeName"));
        page.block(&title, &last_lines(text(run, "/status/outputTail")));
    }
}

fn newest_last(run: &Value) -> (Option<Timestamp>, &str) {
    let since = time(run, "/status/startedAt").or_else(|| time(run, "/metadata/creationTimestamp"));
    (since, text(run, "/metadata/uid"))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    let cut = if from > 0 { "...\n" } else { "" };
    format!("{cut}{}", lines[from..].join("\n"))
}

/// Calls of an OnDemand Task, the newest first.
pub(super) fn calls(page: &mut Page, found: &[Value], now: Timestamp) {
    let mut sorted: Vec<&Value> = found.iter().collect();
    sorted.sort_by(|a, b| {
        let key = |task| (time(task, "/metadata/creationTimestamp"), name(task));
        key(b).cmp(&key(a))
    });
    table(page, "Calls", (Kind::Task, &["MODE"]), &sorted, now);
}

/// Events, the oldest first, the newest of them if they are many.
pub(super) fn events(page: &mut Page, found: &[Value], now: Timestamp) {
    let mut sorted: Vec<&Value> = found.iter().collect();
    sorted.sort_by_key(|event| drover_columns::last_seen(event));
    let from = sorted.len().saturating_sub(2 * ROWS);
    let rows: Vec<Vec<String>> = sorted[from..]
        .iter()
        .map(|event| {
            drover_columns::of(Kind::Event)
                .iter()
                .filter(|column| !column.wide && column.header != "OBJECT")
                .map(|column| (column.cell)(event, now))
                .collect()
        })
        .collect();
    let note = note(rows.len(), found.len());
    page.table("Events", &note, &["LAST SEEN", "TYPE", "REASON", "MESSAGE"], &rows);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::tests::noon;

    #[test]
    fn long_lists_are_counted_and_cut_and_the_newest_runs_come_first() {
        let run = |second: usize| {
            json!({
                "metadata": {"name": format!("r{second}")}, "spec": {"nodeName": "a"},
                "status": {"startedAt": format!("2026-08-01T11:59:{second:02}Z"), "outputTail": "o\n"},
            })
        };
        let found: Vec<Value> = (10..32).map(run).collect();
        let mut page = Page::default();
        runs(&mut page, &found, noon());
        let said = page.into_text();
        assert!(said.starts_with("Runs: 10 of 22\n  NAME"), "{said}");
        assert!(said.lines().nth(2).is_some_and(|line| line.starts_with("  r31")), "{said}");
        assert_eq!(said.matches("Output of").count(), OUTPUTS, "{said}");
        assert_eq!(last_lines(&"x\n".repeat(12)).lines().count(), LINES + 1);
    }

    #[test]
    fn assignments_that_are_not_well_come_first() {
        let assignment = |node: &str, ready: &str| {
            json!({
                "metadata": {"name": node}, "spec": {"nodeName": node},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            })
        };
        let mut page = Page::default();
        assignments(&mut page, &[assignment("a", "True"), assignment("b", "False")], &[], noon());
        let said = page.into_text();
        assert!(said.lines().nth(2).is_some_and(|line| line.starts_with("  b ")), "{said}");
    }
}

//! What happens, line by line, as `drover dev` shows it: runs that end, tasks that finish, services and nodes that come
//! and go. What a line says is a pure function of an object before and after.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use drover_client::{Client, EventKind, ListOptions};
use drover_types::Kind;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::follow::{Follow, Seen};
use crate::paint;
use drover_columns::fields::{condition, name, number, text, time};

/// Kinds whose changes are shown.
const KINDS: [Kind; 4] = [Kind::Node, Kind::Run, Kind::Task, Kind::Service];
/// Lines that may wait for a slow terminal.
const QUEUE: usize = 256;
/// Longest end of an output that is shown, in characters.
const OUTPUT: usize = 60;

/// One line: the object, and what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) object: String,
    pub(crate) said: String,
    pub(crate) good: bool,
}

/// What is to be said of a change; most changes are not worth a line.
pub(crate) fn line(kind: Kind, before: Option<&Value>, after: &Value) -> Option<Line> {
    match kind {
        Kind::Run => run(before, after),
        Kind::Task => settled(before, after, "task", &["Complete", "Failed"]),
        Kind::Service => settled(before, after, "service", &["Available"]),
        Kind::Node => settled(before, after, "node", &["Ready"]),
        _ => None,
    }
}

fn run(before: Option<&Value>, after: &Value) -> Option<Line> {
    let phase = text(after, "/status/phase");
    if before.is_some_and(|run| text(run, "/status/phase") == phase) {
        return None;
    }
    let workload = text(after, "/spec/workloadRef/kind");
    let object = format!("{}/{}", workload.to_lowercase(), text(after, "/spec/workloadRef/name"));
    let node = text(after, "/spec/nodeName");
    let said = match phase {
        "Running" if workload == "Service" => {
            let pid =
                after.pointer("/status/pid").map_or_else(String::new, |pid| format!(" as process {pid}"));
            format!("runs on {node}{pid}")
        }
        "Pending" | "Running" | "" => return None,
        finished => format!("{} on {node}{}", finished.to_lowercase(), ending(after)),
    };
    Some(Line { object, said, good: matches!(phase, "Running" | "Succeeded") })
}

/// Exit code or signal, how long it took, and the end of what it said.
fn ending(run: &Value) -> String {
    let mut said = match number(run, "/status/exitCode") {
        Some(code) => format!(": exit {code}"),
        None => match (text(run, "/status/signal"), text(run, "/status/reason")) {
            ("", reason) => match text(run, "/status/message") {
                "" => format!(": {reason}"),
                message => format!(": {reason}: {message}"),
            },
            (signal, _) => format!(": {signal}"),
        },
    };
    let (started, finished) = (time(run, "/status/startedAt"), time(run, "/status/finishedAt"));
    if let (Some(started), Some(finished)) = (started, finished) {
        said += &format!(" after {}", spell(finished.duration_since(started)));
    }
    if let Some(last) = text(run, "/status/outputTail").lines().rfind(|line| !line.trim().is_empty()) {
        let shown: String = last.chars().filter(|c| !c.is_control()).take(OUTPUT).collect();
        said += &format!("  | {shown}");
    }
    said
}

fn spell(took: SignedDuration) -> String {
    match took.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        millis @ ..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        millis => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

/// A condition of the object that has become another.
fn settled(before: Option<&Value>, after: &Value, kind: &str, types: &[&str]) -> Option<Line> {
    let status = |object: &Value, type_: &str| condition(object, type_).map(|c| c["status"].clone());
    let changed = types.iter().find(|type_| {
        let (was, is) = (before.and_then(|object| status(object, type_)), status(after, type_));
        // What is false from the beginning has not happened yet.
        is != was && is.is_some() && (was.is_some() || is == Some(Value::from("True")))
    })?;
    let now = condition(after, changed)?;
    let holds = now["status"] == "True";
    let word = match (kind, *changed, holds) {
        ("task", "Complete", true) => "complete",
        ("task", "Failed", true) => "failed",
        ("task", ..) => return None,
        ("service", _, true) => "available",
        ("service", ..) => "not available",
        (_, _, true) => "ready",
        _ => "not ready",
    };
    let message = now["message"].as_str().unwrap_or_default().trim_end_matches('.');
    let said = if message.is_empty() { word.to_owned() } else { format!("{word}: {message}") };
    let good = if *changed == "Failed" { !holds } else { holds };
    Some(Line { object: format!("{kind}/{}", name(after)), said, good })
}

/// A kind's objects by uid, as they were seen last, and what becomes of them.
struct Story {
    kind: Kind,
    known: BTreeMap<String, Value>,
    follow: Follow,
}

/// What happens from a moment on. What there was at that moment is no news.
pub(crate) struct Feed(Vec<Story>);

impl Feed {
    /// Begins now.
    pub(crate) async fn begin(client: &Client) -> Result<Self> {
        let mut stories = Vec::new();
        for kind in KINDS {
            let (items, follow) = Follow::begin(client, &kind.path(None), ListOptions::default()).await?;
            let known = items.into_iter().map(|object| (uid(&object), object)).collect();
            stories.push(Story { kind, known, follow });
        }
        Ok(Self(stories))
    }

    /// Shows it until stdout is gone. Dropping the future ends it.
    pub(crate) async fn show(self, colours: bool) {
        let (sender, mut lines) = mpsc::channel(QUEUE);
        // They end with this.
        let mut stories = JoinSet::new();
        for story in self.0 {
            stories.spawn(story.tell(sender.clone()));
        }
        drop(sender);
        let clock = drover_world::World::system().clock;
        while let Some(Line { object, said, good }) = lines.recv().await {
            let time = clock.now().to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
            let object = if good { paint::WELL } else { paint::WRONG }.on(colours, &format!("{object:<20}"));
            // Nobody reads any more: the roles go on all the same.
            if writeln!(std::io::stdout(), "{time}  {object} {said}").is_err() {
                break;
            }
        }
    }
}

impl Story {
    async fn tell(mut self, lines: mpsc::Sender<Line>) {
        // An error here is one that trying again cannot mend: the server is stopping.
        while let Ok(Seen { kind, object }) = self.follow.next().await {
            let uid = uid(&object);
            if kind == EventKind::Deleted {
                self.known.remove(&uid);
                continue;
            }
            let line = line(self.kind, self.known.get(&uid), &object);
            self.known.insert(uid, object);
            if let Some(line) = line
                && lines.send(line).await.is_err()
            {
                return;
            }
        }
    }
}

fn uid(object: &Value) -> String {
    text(object, "/metadata/uid").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run_of(kind: &str, status: Value) -> Value {
        json!({
            "metadata": {"name": "r", "uid": "u"},
            "spec": {"nodeName": "n1", "workloadRef": {"kind": kind, "name": "beat"}},
            "status": status,
        })
    }

    fn said(kind: Kind, before: Option<&Value>, after: &Value) -> Option<String> {
        line(kind, before, after).map(|line| format!("{} {}", line.object, line.said))
    }

    #[test]
    fn a_run_is_told_when_it_ends_and_only_once() {
        let running = run_of("Timer", json!({"phase": "Running"}));
        assert_eq!(said(Kind::Run, None, &running), None);
        let done = run_of(
            "Timer",
            json!({
                "phase": "Succeeded", "exitCode": 0, "startedAt": "2026-01-01T00:00:00Z",
                "finishedAt": "2026-01-01T00:00:01.250Z", "outputTail": "a\nload 0.5\n",
            }),
        );
        let want = "timer/beat succeeded on n1: exit 0 after 1.2 s  | load 0.5";
        assert_eq!(said(Kind::Run, Some(&running), &done).as_deref(), Some(want));
        assert_eq!(said(Kind::Run, Some(&done), &done), None);
        let lost = run_of("Service", json!({"phase": "Lost", "reason": "KeeperDied"}));
        assert_eq!(said(Kind::Run, None, &lost).as_deref(), Some("service/beat lost on n1: KeeperDied"));
        let up = run_of("Service", json!({"phase": "Running", "pid": 7}));
        assert_eq!(said(Kind::Run, None, &up).as_deref(), Some("service/beat runs on n1 as process 7"));
    }

    #[test]
    fn a_terminal_is_not_written_to_by_an_output() {
        let done =
            run_of("Timer", json!({"phase": "Failed", "exitCode": 1, "outputTail": "\u{1b}[2Jhello\u{7}"}));
        assert!(said(Kind::Run, None, &done).is_some_and(|said| said.ends_with("| [2Jhello")));
    }

    #[test]
    fn a_condition_is_told_when_it_changes() {
        let task = |status: &str| {
            json!({"metadata": {"name": "t", "uid": "u"}, "status": {"conditions": [
                {"type": "Complete", "status": status, "message": "1 succeeded and 0 failed of 1 nodes."},
            ]}})
        };
        assert_eq!(said(Kind::Task, None, &task("False")), None);
        let want = "task/t complete: 1 succeeded and 0 failed of 1 nodes";
        assert_eq!(said(Kind::Task, Some(&task("False")), &task("True")).as_deref(), Some(want));
        assert_eq!(said(Kind::Task, Some(&task("True")), &task("True")), None);
    }
}

//! Asking the other readers of schedules, which are programs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::line::Line;

/// The ticks of a line that come after a moment.
pub(crate) struct Question {
    pub(crate) line: Line,
    pub(crate) zone: &'static str,
    pub(crate) after: Timestamp,
    pub(crate) count: usize,
}

/// Who carries a line of croniter's through the changes of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The oracle.
    Zone,
    /// Nobody: croniter goes by readings of the wall. On ordinary days that is all there is to know; when it minds the
    /// zone, it is an hour off on many of them.
    Wall,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oracle {
    Systemd,
    Croniter,
}

impl Oracle {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Croniter => "croniter",
        }
    }
}

/// Those that are here. One that is not fails the test in CI, and is named elsewhere.
pub(crate) fn oracles() -> Vec<Oracle> {
    let python = python();
    let here = |program: &Path, arguments: &[&str]| {
        let run = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let systemd = here(Path::new("systemd-analyze"), &["calendar", "*-*-* 00:00:00"]);
    let found = [
        (Oracle::Systemd, systemd, "no program systemd-analyze that reads calendars"),
        (Oracle::Croniter, here(&python, &["-c", "import croniter"]), "no croniter in target/oracles"),
    ];
    for (oracle, _, why) in found.iter().filter(|(_, here, _)| !here) {
        let text = format!("{} is not asked: {why}; `cargo xtask needs` installs it", oracle.name());
        assert!(std::env::var_os("CI").is_none(), "{text}");
        std::io::stderr().write_all(format!("skipped: {text}\n").as_bytes()).unwrap();
    }
    found.into_iter().filter_map(|(oracle, here, _)| here.then_some(oracle)).collect()
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/oracles/bin/python")
}

/// The answers, in order: none where the oracle has no words for the question.
pub(crate) fn ask(oracle: Oracle, clock: Clock, questions: &[Question]) -> Vec<Option<Vec<Timestamp>>> {
    match oracle {
        Oracle::Systemd => questions.iter().map(ask_systemd).collect(),
        Oracle::Croniter => ask_croniter(clock, questions),
    }
}

fn ask_systemd(question: &Question) -> Option<Vec<Timestamp>> {
    let calendar = question.line.systemd()?;
    let base = question.after.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let output = Command::new("systemd-analyze")
        .args(["calendar", "--base-time", &base, "--iterations", &question.count.to_string(), &calendar])
        .envs([("TZ", question.zone), ("LC_ALL", "C")])
        .output()
        .expect("it was here a moment ago");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{calendar}: {}", String::from_utf8_lossy(&output.stderr));
    let tick = |line: &str| {
        let (label, value) = line.split_once(": ")?;
        let label = label.trim();
        let counts = if question.zone == "UTC" { label != "(in UTC)" } else { label == "(in UTC)" };
        let is_tick = counts && (label.starts_with("Iter.") || label == "Next elapse" || label == "(in UTC)");
        // As "Sun 2026-03-29 01:00:00 UTC".
        let mut words = value.split_whitespace().skip(1);
        is_tick.then(|| format!("{}T{}Z", words.next().unwrap(), words.next().unwrap()).parse().unwrap())
    };
    Some(text.lines().filter(|line| !line.contains("elapse: never")).filter_map(tick).collect())
}

fn ask_croniter(clock: Clock, questions: &[Question]) -> Vec<Option<Vec<Timestamp>>> {
    let mut child = Command::new(python())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/ask_croniter.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was here a moment ago");
    let mut stdin = child.stdin.take().unwrap();
    let mode = match clock {
        Clock::Zone => "zone",
        Clock::Wall => "wall",
    };
    let lines: Vec<Option<String>> = questions.iter().map(|question| question.line.croniter()).collect();
    let request = |(q, line): (&Question, &Option<String>)| {
        let line = line.as_ref()?;
        Some(format!("{mode}\t{}\t{}\t{}\t{line}\n", q.zone, q.after.as_second(), q.count))
    };
    let requests: String = questions.iter().zip(&lines).filter_map(request).collect();
    let writer = std::thread::spawn(move || stdin.write_all(requests.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let mut answers = answers.lines();
    let second = |text: &str| Timestamp::from_second(text.parse().unwrap()).unwrap();
    let read = lines.iter().map(|line| {
        let line = line.as_ref()?;
        let answer = answers.next().expect("every question is answered");
        assert!(!answer.starts_with("error"), "{line}: {answer}");
        Some(answer.split_whitespace().map(second).collect())
    });
    read.collect()
}

//! What is told of runs.

use drover_plan::node::run::Ended;
use drover_spawn::{RunState, state::FailedToStart};
use drover_types::API_VERSION;
use drover_types::kinds::run::{Run, RunPhase, RunSpec, RunStatus, Usage};
use drover_types::meta::{ObjectMeta, OwnerReference};
use drover_wire::ReportItem;
use jiff::Timestamp;

use crate::ledger::{Change, Claim};

/// The most of a run's output that is in its status.
pub(crate) const TAIL_BYTES: usize = 4096;

/// A change that reports a run as it is now.
pub(crate) fn run(claim: &Claim, node_name: &str, mut status: RunStatus) -> Change {
    status.say_ready(status.finished_at.or(status.started_at).unwrap_or(claim.claimed_at));
    let object = Run {
        api_version: API_VERSION.into(),
        kind: "Run".into(),
        metadata: ObjectMeta {
            name: claim.run_name.clone(),
            namespace: Some(claim.namespace.clone()),
            uid: claim.run_uid.clone(),
            creation_timestamp: Some(claim.claimed_at),
            owner_references: vec![OwnerReference {
                api_version: API_VERSION.into(),
                kind: "Assignment".into(),
                name: claim.assignment_name.clone(),
                uid: claim.assignment_uid.clone(),
                controller: Some(true),
                block_owner_deletion: None,
            }],
            ..ObjectMeta::default()
        },
        spec: RunSpec {
            node_name: node_name.to_owned(),
            workload_ref: claim.workload.clone(),
            assignment_ref: claim.assignment_name.clone(),
            trigger: claim.trigger.clone(),
            attempt: claim.attempt,
            replica: claim.replica,
        },
        status: Some(status),
    };
    // These types have nothing that JSON cannot hold.
    let object = serde_json::to_value(object).unwrap_or_default();
    Change::Report(format!("run/{}", claim.run_uid), Box::new(ReportItem::Run { object }))
}

/// The end of a run's output as text of at most [`TAIL_BYTES`].
pub(crate) fn tail_text(tail: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(tail).into_owned();
    // What replaces a bad byte is longer than it.
    let mut start = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.drain(..start);
    text
}

/// What a state file says, as a status without phase.
pub(crate) fn observed(state: &RunState) -> RunStatus {
    let time = |ns: i64| Timestamp::from_nanosecond(i128::from(ns)).ok();
    let mut status = RunStatus::default();
    match state {
        RunState::Nothing => {}
        RunState::Started(started) => {
            status.phase = RunPhase::Running;
            status.pid = u32::try_from(started.child.pid).ok();
            status.started_at = time(started.at.wall_ns);
        }
        RunState::FailedToStart(FailedToStart { reason, at }) => {
            status.message = reason.chars().take(1024).collect();
            status.finished_at = time(at.wall_ns);
        }
        RunState::Exited(started, exited) => {
            status.started_at = time(started.at.wall_ns);
            status.finished_at = time(exited.at.wall_ns);
            match exited.outcome {
                drover_spawn::Outcome::Code(code) => status.exit_code = Some(code),
                drover_spawn::Outcome::Signal(number) => status.signal = Some(signal_name(number)),
            }
            if exited.output_lost_bytes > 0 {
                status.message =
                    format!("{} bytes of output could not be stored on the node", exited.output_lost_bytes);
            }
            if exited.left_behind > 0 {
                status.message = format!("{} of its processes could not be killed", exited.left_behind);
            }
            status.usage = Some(Usage {
                user_micros: exited.user_usec,
                system_micros: exited.system_usec,
                max_rss_bytes: exited.max_rss_bytes,
            });
        }
    }
    status
}

/// What is to be said of an end beyond its reason, where nothing is said yet.
pub(crate) fn explain(status: &mut RunStatus, ended: Ended, timeout: Option<drover_types::Duration>) {
    if !status.message.is_empty() {
        return;
    }
    status.message = match (ended, timeout) {
        (Ended::NotStarted, _) => "its keeper ended before it had executed anything".into(),
        (Ended::KeeperDied, _) => "its keeper was killed; all that it had started was ended".into(),
        (Ended::HostRestarted, _) => "the host went down while it ran".into(),
        (Ended::Code(_) | Ended::Signal(_), Some(timeout)) if status.phase == RunPhase::TimedOut => {
            format!("it ran longer than its timeout of {timeout}")
        }
        (Ended::Code(_) | Ended::Signal(_), _) => return,
    };
}

/// How a run ended, for who sees no more of it than a few words.
pub(crate) fn in_words(status: &RunStatus) -> String {
    match (status.exit_code, &status.signal) {
        _ if !status.message.is_empty() => status.message.chars().take(256).collect(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by {signal}"),
        (None, None) => status.reason.clone(),
    }
}

fn signal_name(number: i32) -> String {
    const NAMES: [&str; 16] = [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM",
    ];
    match usize::try_from(number).ok().and_then(|index| NAMES.get(index)).filter(|name| !name.is_empty()) {
        Some(name) => format!("SIG{name}"),
        None => format!("SIG{number}"),
    }
}

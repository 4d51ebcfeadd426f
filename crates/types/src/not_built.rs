//! What the design names and this build does not have yet. Such a field or kind is refused by name, so that nobody
//! believes it works; a field the design does not know is an unknown field instead.

use crate::{FieldError, FieldPath, Kind};

const MESSAGES: &str = "messages, variables and gateways";
const AGENT: &str = "the node agent in depth";
const GIT: &str = "git sources";

/// Kinds of `drover.dev/v1`, and what brings them.
const KINDS: [(&str, &str); 4] =
    [("Channel", MESSAGES), ("SharedVar", MESSAGES), ("Gateway", MESSAGES), ("GitSource", GIT)];

/// Members of `spec.template`, for the three workloads.
const TEMPLATE: [(&str, &str); 15] = [
    ("output.format", MESSAGES),
    ("output.sharedVar", MESSAGES),
    ("output.publish", MESSAGES),
    ("output.submit", MESSAGES),
    ("onSuccess", MESSAGES),
    ("onFailure", MESSAGES),
    ("onFinish", MESSAGES),
    ("nodeOffline", AGENT),
    ("resources", AGENT),
    ("sandbox", AGENT),
    ("process.files", AGENT),
    ("process.reloadSignal", AGENT),
    ("process.tty", AGENT),
    ("process.stdin.sharedVar", MESSAGES),
    ("process.stdin.message", MESSAGES),
];

const TIMER: [(&str, &str); 2] = [("spec.budget", AGENT), ("spec.blackout", AGENT)];
const TASK: [(&str, &str); 4] = [
    ("spec.triggers", MESSAGES),
    ("spec.rollout", AGENT),
    ("spec.params[].pattern", AGENT),
    ("spec.params[].secret", AGENT),
];
const SERVICE: [(&str, &str); 10] = [
    ("spec.update", AGENT),
    ("spec.sockets", AGENT),
    ("spec.watchFiles", AGENT),
    ("spec.after", AGENT),
    ("spec.requires", AGENT),
    ("spec.subscriptions", MESSAGES),
    ("spec.runWhile", MESSAGES),
    ("spec.livenessProbe", AGENT),
    ("spec.readinessProbe", AGENT),
    ("spec.startupProbe", AGENT),
];
const NODE_POOL: [(&str, &str); 2] = [("spec.blackout", AGENT), ("spec.agent", AGENT)];

/// What brings a kind of the design that this build does not serve.
pub fn not_built_kind(api_version: &str, kind: &str) -> Option<&'static str> {
    let ours = api_version == crate::API_VERSION;
    KINDS.iter().find(|(name, _)| ours && *name == kind).map(|(_, brings)| *brings)
}

/// What brings a field of the design that this build does not have; `path` is as in an error.
pub fn not_built_field(kind: Kind, path: &str) -> Option<&'static str> {
    let shape = without_indices(path);
    let find = |table: &[(&str, &'static str)], path: &str| {
        table.iter().find(|(name, _)| *name == path).map(|(_, brings)| *brings)
    };
    let own = match kind {
        Kind::Timer => find(&TIMER, &shape),
        Kind::Task => find(&TASK, &shape),
        Kind::Service => find(&SERVICE, &shape),
        Kind::NodePool => find(&NODE_POOL, &shape),
        Kind::Namespace
        | Kind::Node
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::Event
        | Kind::Lease
        | Kind::Assignment
        | Kind::Run => return None,
    };
    own.or_else(|| {
        if kind == Kind::NodePool {
            return None;
        }
        find(&TEMPLATE, shape.strip_prefix("spec.template.")?)
    })
}

/// `path: Forbidden: not built yet: it comes with ...`.
pub(crate) fn refusal(path: FieldPath, brings: &str) -> FieldError {
    FieldError::forbidden(path, format_args!("not built yet: it comes with {brings}"))
}

/// A mutex without the node's name would be fleet-wide.
pub(crate) fn fleet_wide_mutex(path: FieldPath) -> FieldError {
    refusal(path, &format!("{AGENT}; a key that contains $(NODE_NAME) is held on the node"))
}

fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside = match c {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        if !inside || c == '[' {
            out.push(c);
        }
    }
    out
}

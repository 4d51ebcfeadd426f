//! What the design names and this build does not have yet. Such a field or kind is refused by name, so that nobody
//! believes it works; a field the design does not know is an unknown field instead.

use crate::{FieldError, FieldPath, Kind};

const MESSAGES: &str = "messages, variables and gateways";
const AGENT: &str = "the node agent in depth";
const GIT: &str = "git sources";
const CLIENTS: &str = "Kubernetes clients, users and roles";

/// API groups, their kinds, and what brings them.
const KINDS: [(&str, &[&str], &str); 7] = [
    (crate::API_VERSION, &["Channel", "SharedVar", "SharedVarValue", "Gateway"], MESSAGES),
    (crate::API_VERSION, &["GitSource"], GIT),
    ("v1", &["Pod"], CLIENTS),
    ("rbac.authorization.k8s.io/v1", &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"], CLIENTS),
    ("authentication.k8s.io/v1", &["TokenReview", "TokenRequest", "SelfSubjectReview"], CLIENTS),
    (
        "authorization.k8s.io/v1",
        &[
            "SubjectAccessReview",
            "LocalSubjectAccessReview",
            "SelfSubjectAccessReview",
            "SelfSubjectRulesReview",
        ],
        CLIENTS,
    ),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"], CLIENTS),
];

/// Members of `spec.template`, for the three workloads.
const TEMPLATE: [(&str, &str); 20] = [
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
    ("process.env[].valueFrom.sharedVar", MESSAGES),
    ("process.env[].valueFrom.sharedVarRef", MESSAGES),
    ("process.env[].valueFrom.sharedVarKeyRef", MESSAGES),
    ("process.envFrom[].sharedVar", MESSAGES),
    ("process.envFrom[].sharedVarRef", MESSAGES),
    ("process.stdin.sharedVar", MESSAGES),
    ("process.stdin.message", MESSAGES),
];

/// Members of a Timer's `spec`.
const TIMER: [(&str, &str); 2] = [("budget", AGENT), ("blackout", AGENT)];
/// Members of a Task's `spec`.
const TASK: [(&str, &str); 4] =
    [("triggers", MESSAGES), ("rollout", AGENT), ("params[].pattern", AGENT), ("params[].secret", AGENT)];
/// Members of a Service's `spec`.
const SERVICE: [(&str, &str); 10] = [
    ("update", AGENT),
    ("sockets", AGENT),
    ("watchFiles", AGENT),
    ("after", AGENT),
    ("requires", AGENT),
    ("subscriptions", MESSAGES),
    ("runWhile", MESSAGES),
    ("livenessProbe", AGENT),
    ("readinessProbe", AGENT),
    ("startupProbe", AGENT),
];
/// Members of a NodePool's `spec`.
const NODE_POOL: [(&str, &str); 3] = [("blackout", AGENT), ("agent", AGENT), ("limits", AGENT)];

/// What brings a kind of the design that this build does not serve.
pub fn not_built_kind(api_version: &str, kind: &str) -> Option<&'static str> {
    let find = |(group, kinds, _): &&(&str, &[&str], &str)| *group == api_version && kinds.contains(&kind);
    KINDS.iter().find(find).map(|(_, _, brings)| *brings)
}

/// What brings a field of the design that this build does not have; `path` is as in an error. An Assignment bears the
/// spec of its workload, and refuses the same.
pub fn not_built_field(kind: Kind, path: &str) -> Option<&'static str> {
    let shape = without_indices(path);
    let member = shape.strip_prefix("spec.")?;
    let (own, member): (&[(&str, &str)], &str) = match kind {
        Kind::Timer => (&TIMER, member),
        Kind::Task => (&TASK, member),
        Kind::Service => (&SERVICE, member),
        Kind::NodePool => return find(&NODE_POOL, member),
        Kind::Assignment => match member.split_once('.')? {
            ("timer", member) => (&TIMER, member),
            ("task", member) => (&TASK, member),
            ("service", member) => (&SERVICE, member),
            _ => return None,
        },
        Kind::Namespace
        | Kind::Node
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::ServiceAccount
        | Kind::Event
        | Kind::Lease
        | Kind::Run => return None,
    };
    find(own, member).or_else(|| find(&TEMPLATE, member.strip_prefix("template.")?))
}

fn find(table: &[(&str, &'static str)], path: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == path).map(|(_, brings)| *brings)
}

/// `path: Forbidden: not built yet: it comes with ...`.
pub(crate) fn refusal(path: FieldPath, brings: &str) -> FieldError {
    FieldError::forbidden(path, format_args!("not built yet: it comes with {brings}"))
}

/// A mutex without the node's name would be fleet-wide.
pub(crate) fn fleet_wide_mutex(path: FieldPath) -> FieldError {
    refusal(path, &format!("{AGENT}; a key that contains $(NODE_NAME) is held on the node"))
}

/// The labels of the object itself do not reach its node yet.
pub(crate) fn own_labels(path: FieldPath) -> FieldError {
    refusal(path, &format!("{AGENT}; node.labels['x'] reads a label of the node"))
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

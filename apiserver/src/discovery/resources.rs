//! Which groups and resources there are, and what can be done with each: what both forms of discovery are made of.

use drover_types::{GROUP, Kind};

/// Verbs of a kind's main resource.
pub(super) const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A part of an object with a path of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subresource {
    pub(super) name: &'static str,
    pub(super) verbs: &'static [&'static str],
    /// The kind that it is read and written as.
    pub(super) kind: Kind,
}

/// The groups, the one with the kinds that users write first: where a name is in several, the first one is meant.
/// Core is none of them.
pub(super) fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| (kind.names().group, kind.names().version))
        .filter(|(group, _)| !group.is_empty())
        .collect();
    groups.sort_unstable_by_key(|(group, _)| (*group != GROUP, *group));
    groups.dedup();
    groups
}

pub(super) fn kinds(group: &str, version: &str) -> Vec<Kind> {
    Kind::ALL.into_iter().filter(|k| (k.names().group, k.names().version) == (group, version)).collect()
}

pub(super) fn subresources(kind: Kind) -> Vec<Subresource> {
    let status = Subresource { name: "status", verbs: &["get", "patch", "update"], kind };
    let run = Subresource { name: "run", verbs: &["create"], kind: Kind::Run };
    let called = (kind == Kind::Task).then_some(run);
    kind.names().has_status.then_some(status).into_iter().chain(called).collect()
}

/// What `kubectl get all` and `get drover` show.
pub(super) fn categories(kind: Kind) -> &'static [&'static str] {
    if kind.names().group == GROUP { &["all", "drover"] } else { &[] }
}

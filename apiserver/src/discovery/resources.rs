//! Which groups and resources there are, and what can be done with each: what both forms of discovery are made of.

use drover_types::{GROUP, Kind, Scope};

use crate::reviews::Review;
use crate::{accounts, events, scale};

/// Something with paths of its own.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static [&'static str],
    /// What `kubectl get all` and `get drover` show.
    pub(super) categories: &'static [&'static str],
    pub(super) namespaced: bool,
    pub(super) verbs: &'static [&'static str],
    pub(super) parts: Vec<Subresource>,
}

/// A part of an object with a path of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subresource {
    pub(super) name: &'static str,
    pub(super) verbs: &'static [&'static str],
    /// Group, version and kind that it is read and written as.
    pub(super) reads_as: (&'static str, &'static str, &'static str),
}

/// All of them.
pub(super) fn all() -> Vec<Resource> {
    let newer_events = Resource { group: events::GROUP, version: events::VERSION, ..of_kind(Kind::Event) };
    let reviews = Review::ALL.into_iter().map(of_review);
    Kind::ALL.into_iter().map(of_kind).chain([newer_events]).chain(reviews).collect()
}

fn of_kind(kind: Kind) -> Resource {
    let names = kind.names();
    let own = |kind: Kind| (kind.names().group, kind.names().version, kind.names().kind);
    let status = Subresource { name: "status", verbs: &["get", "patch", "update"], reads_as: own(kind) };
    let run = Subresource { name: "run", verbs: &["create"], reads_as: own(Kind::Run) };
    let called = (kind == Kind::Task).then_some(run);
    let token = (kind == Kind::ServiceAccount).then_some(Subresource {
        name: "token",
        verbs: &["create"],
        reads_as: accounts::TOKEN_REQUEST,
    });
    let scaled = scale::of(kind).map(|_| Subresource {
        name: "scale",
        verbs: &["get", "patch", "update"],
        reads_as: scale::SCALE,
    });
    Resource {
        group: names.group,
        version: names.version,
        kind: names.kind,
        plural: names.plural,
        singular: names.singular,
        short: names.short,
        categories: if names.group == GROUP { &["all", "drover"] } else { &[] },
        namespaced: names.scope == Scope::Namespaced,
        verbs: &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        parts: names
            .has_status
            .then_some(status)
            .into_iter()
            .chain(called)
            .chain(scaled)
            .chain(token)
            .collect(),
    }
}

fn of_review(review: Review) -> Resource {
    Resource {
        group: review.group(),
        version: "v1",
        kind: review.kind(),
        plural: review.plural(),
        singular: review.singular(),
        short: &[],
        categories: &[],
        namespaced: false,
        verbs: &["create"],
        parts: Vec::new(),
    }
}

/// The groups and their versions, the one with the kinds that users write first: where a name is in several, the first
/// one is meant. Core, whose name is empty, is none of them.
pub(super) fn groups() -> Vec<(&'static str, &'static str)> {
    let resources = all().into_iter().filter(|resource| !resource.group.is_empty());
    let mut groups: Vec<_> = resources.map(|resource| (resource.group, resource.version)).collect();
    groups.sort_unstable_by_key(|(group, _)| (*group != GROUP, *group));
    groups.dedup();
    groups
}

/// What is in a group and version.
pub(super) fn within(group: &str, version: &str) -> Vec<Resource> {
    all().into_iter().filter(|r| (r.group, r.version) == (group, version)).collect()
}

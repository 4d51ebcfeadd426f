//! The table of kinds: names, paths and scope, matched exhaustively so that no part can forget one.

use crate::{API_VERSION, GROUP};

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// Cluster-wide.
    Cluster,
}

/// Every kind this build serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is described in crate::kinds")]
pub enum Kind {
    Namespace,
    Node,
    Secret,
    ConfigMap,
    ServiceAccount,
    Event,
    Lease,
    Timer,
    Task,
    Service,
    NodePool,
    Assignment,
    Run,
}

/// The names of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// API group; empty for core.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural, as in paths.
    pub plural: &'static str,
    /// Singular.
    pub singular: &'static str,
    /// Short names.
    pub short: &'static [&'static str],
    /// Scope.
    pub scope: Scope,
    /// Whether it has `/status`.
    pub has_status: bool,
}

macro_rules! names {
    ($group:expr, $kind:literal, $plural:literal, $singular:literal, $short:expr, $scope:ident, $status:literal) => {
        Names {
            group: $group,
            version: "v1",
            kind: $kind,
            plural: $plural,
            singular: $singular,
            short: $short,
            scope: Scope::$scope,
            has_status: $status,
        }
    };
}

impl Kind {
    /// All of them, in the order in which an apply creates them.
    pub const ALL: [Self; 13] = [
        Self::Namespace,
        Self::Secret,
        Self::ConfigMap,
        Self::ServiceAccount,
        Self::Node,
        Self::NodePool,
        Self::Lease,
        Self::Service,
        Self::Task,
        Self::Timer,
        Self::Assignment,
        Self::Run,
        Self::Event,
    ];

    /// Its names.
    pub const fn names(self) -> Names {
        match self {
            Self::Namespace => names!("", "Namespace", "namespaces", "namespace", &["ns"], Cluster, true),
            Self::Node => names!("", "Node", "nodes", "node", &["no"], Cluster, true),
            Self::Secret => names!("", "Secret", "secrets", "secret", &[], Namespaced, false),
            Self::ConfigMap => names!("", "ConfigMap", "configmaps", "configmap", &["cm"], Namespaced, false),
            Self::ServiceAccount => {
                names!("", "ServiceAccount", "serviceaccounts", "serviceaccount", &["sa"], Namespaced, false)
            }
            Self::Event => names!("", "Event", "events", "event", &["ev"], Namespaced, false),
            Self::Lease => names!("coordination.k8s.io", "Lease", "leases", "lease", &[], Namespaced, false),
            Self::Timer => names!(GROUP, "Timer", "timers", "timer", &["tm"], Namespaced, true),
            Self::Task => names!(GROUP, "Task", "tasks", "task", &["tk"], Namespaced, true),
            Self::Service => names!(GROUP, "Service", "services", "service", &["svc"], Namespaced, true),
            Self::NodePool => names!(GROUP, "NodePool", "nodepools", "nodepool", &["np"], Cluster, true),
            Self::Assignment => {
                names!(GROUP, "Assignment", "assignments", "assignment", &["asg"], Namespaced, true)
            }
            Self::Run => names!(GROUP, "Run", "runs", "run", &[], Namespaced, true),
        }
    }

    /// `group/version`, or `v1` for core.
    pub fn api_version(self) -> &'static str {
        match self.names().group {
            "" => "v1",
            GROUP => API_VERSION,
            _ => "coordination.k8s.io/v1",
        }
    }

    /// By `apiVersion` and kind.
    pub fn by_gvk(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.names().kind == kind && k.api_version() == api_version)
    }

    /// By group and plural, as in a path.
    pub fn by_path(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| {
            let names = k.names();
            names.group == group && names.version == version && names.plural == plural
        })
    }

    /// As a user writes it: plural, singular, kind in any case, short name, or `plural.group`.
    pub fn by_user_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Self::ALL.into_iter().find(|k| {
            let n = k.names();
            let plain = word.strip_suffix(n.group).and_then(|w| w.strip_suffix('.')).unwrap_or(&word);
            plain == n.plural || plain == n.singular || n.short.contains(&plain)
        })
    }

    /// The collection's path, with or without a namespace.
    pub fn path(self, namespace: Option<&str>) -> String {
        let names = self.names();
        let root = if names.group.is_empty() {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{}/{}", names.group, names.version)
        };
        match (names.scope, namespace) {
            (Scope::Namespaced, Some(ns)) => format!("{root}/namespaces/{ns}/{}", names.plural),
            (Scope::Namespaced, None) | (Scope::Cluster, _) => format!("{root}/{}", names.plural),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_one_kind() {
        for kind in Kind::ALL {
            let n = kind.names();
            assert_eq!(Kind::by_gvk(kind.api_version(), n.kind), Some(kind));
            assert_eq!(Kind::by_path(n.group, n.version, n.plural), Some(kind));
            for word in [n.plural, n.singular, n.kind].iter().chain(n.short) {
                assert_eq!(Kind::by_user_word(word), Some(kind), "{word}");
            }
        }
    }
}

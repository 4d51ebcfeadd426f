//! Which groups, versions and resources there are, in the legacy form that every client falls back to.
//!
//! Absent: aggregated discovery and OpenAPI; the issue on Kubernetes clients brings them.

use drover_types::{Kind, Scope};
use serde_json::{Value, json};

/// Verbs of a kind's main resource.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| (kind.names().group, kind.names().version))
        .filter(|(group, _)| !group.is_empty())
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn group_json((group, version): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version.clone()], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let kinds: Vec<_> =
        Kind::ALL.into_iter().filter(|k| (k.names().group, k.names().version) == (group, version)).collect();
    let first = kinds.first()?;
    let mut resources = Vec::new();
    for kind in &kinds {
        let names = kind.names();
        let namespaced = names.scope == Scope::Namespaced;
        resources.push(json!({
            "name": names.plural, "singularName": names.singular, "namespaced": namespaced, "kind": names.kind,
            "verbs": VERBS, "shortNames": names.short,
            "categories": if group == drover_types::GROUP { vec!["all", "drover"] } else { vec![] },
        }));
        if names.has_status {
            resources.push(json!({
                "name": format!("{}/status", names.plural), "singularName": "", "namespaced": namespaced,
                "kind": names.kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": resources,
    }))
}

/// The document at `path`, if it is one of discovery's.
pub(crate) fn document(path: &str) -> Option<Value> {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["apis"] => {
            let groups: Vec<_> = groups().into_iter().map(group_json).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] => groups().into_iter().find(|(name, _)| name == group).map(|found| {
            let mut value = group_json(found);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            value
        }),
        ["api", version] => resources("", version),
        ["apis", group, version] => resources(group, version),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": concat!("v1.32.0+drover.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, arch()),
    })
}

/// The names that Go, and so every Kubernetes client, uses.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_discovered() {
        for kind in Kind::ALL {
            let path = kind.path(None);
            let group = path.rsplit_once('/').unwrap().0;
            let list = document(group).unwrap();
            assert_eq!(list["groupVersion"], kind.api_version());
            let found = list["resources"].as_array().unwrap().iter().any(|r| r["kind"] == kind.names().kind);
            assert!(found, "{kind:?}");
        }
        assert!(document("/version/").is_some() && document("/api/").is_some());
        assert_eq!(document("/apis/").unwrap()["groups"].as_array().unwrap().len(), 2);
        assert!(document("/apis/nobody.dev").is_none() && document("/apis/drover.dev/v2").is_none());
    }
}

//! Discovery as every client falls back to it, a list per group and version; and the version of the server.

use drover_types::Scope;
use serde_json::{Value, json};

use super::resources::{VERBS, categories, groups, kinds, subresources};

fn group_json((group, version): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version.clone()], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let kinds = kinds(group, version);
    let first = kinds.first()?;
    let mut resources = Vec::new();
    for kind in &kinds {
        let names = kind.names();
        let namespaced = names.scope == Scope::Namespaced;
        resources.push(json!({
            "name": names.plural, "singularName": names.singular, "namespaced": namespaced, "kind": names.kind,
            "verbs": VERBS, "shortNames": names.short, "categories": categories(*kind),
        }));
        for part in subresources(*kind) {
            resources.push(json!({
                "name": format!("{}/{}", names.plural, part.name), "singularName": "", "namespaced": namespaced,
                "kind": part.kind.names().kind, "verbs": part.verbs,
            }));
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": resources,
    }))
}

/// The document at a path, in its pieces, if it is one of discovery's.
pub(super) fn document(segments: &[&str]) -> Option<Value> {
    match segments {
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
        ["apis", group, version] if !group.is_empty() => resources(group, version),
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

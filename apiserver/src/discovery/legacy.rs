//! Discovery as every client falls back to it, a list per group and version; and the version of the server.

use serde_json::{Value, json};

use super::resources::{groups, within};

fn group_json((group, version): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version.clone()], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let held = within(group, version);
    let of = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let mut resources = Vec::new();
    for resource in &held {
        let namespaced = resource.namespaced;
        resources.push(json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": namespaced,
            "kind": resource.kind, "verbs": resource.verbs, "shortNames": resource.short,
            "categories": resource.categories,
        }));
        for part in &resource.parts {
            let (of_group, of_version, kind) = part.reads_as;
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, part.name), "singularName": "", "namespaced": namespaced,
                "kind": kind, "verbs": part.verbs,
            });
            // Said where it is another one than the list's.
            if (of_group, of_version) != (group, version) {
                entry["group"] = of_group.into();
                entry["version"] = of_version.into();
            }
            resources.push(entry);
        }
    }
    let list =
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": of, "resources": resources});
    (!held.is_empty()).then_some(list)
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

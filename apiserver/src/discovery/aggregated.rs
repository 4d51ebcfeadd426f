//! Aggregated discovery (`apidiscovery.k8s.io`): all groups and resources in two requests.

use serde_json::{Value, json};

use super::resources::{Resource, groups, within};

/// The versions of the form; their content is the same.
pub(super) const VERSIONS: [&str; 2] = ["v2", "v2beta1"];

fn reads_as((group, version, kind): (&str, &str, &str)) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn resource(resource: &Resource) -> Value {
    let parts: Vec<_> = resource
        .parts
        .iter()
        .map(|part| {
            json!({
                "subresource": part.name, "responseKind": reads_as(part.reads_as), "verbs": part.verbs,
            })
        })
        .collect();
    json!({
        "resource": resource.plural,
        "responseKind": reads_as((resource.group, resource.version, resource.kind)),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs, "shortNames": resource.short,
        "categories": resource.categories, "subresources": parts,
    })
}

fn group((group, version): (&str, &str)) -> Value {
    let resources: Vec<_> = within(group, version).iter().map(resource).collect();
    json!({
        "metadata": {"name": group},
        "versions": [{"version": version, "freshness": "Current", "resources": resources}],
    })
}

/// The document of `/api` (core alone, whose name is empty) or `/apis`.
pub(super) fn document(core: bool, version: &str) -> Value {
    let groups = if core { vec![("", "v1")] } else { groups() };
    let items: Vec<_> = groups.into_iter().map(group).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": items,
    })
}

//! Aggregated discovery (`apidiscovery.k8s.io`): all groups and resources in two requests.

use drover_types::{Kind, Scope};
use serde_json::{Value, json};

use super::resources::{VERBS, categories, groups, kinds, subresources};

/// The versions of the form; their content is the same.
pub(super) const VERSIONS: [&str; 2] = ["v2", "v2beta1"];

fn response_kind(kind: Kind) -> Value {
    let names = kind.names();
    json!({"group": names.group, "version": names.version, "kind": names.kind})
}

fn resource(kind: Kind) -> Value {
    let names = kind.names();
    let scope = match names.scope {
        Scope::Namespaced => "Namespaced",
        Scope::Cluster => "Cluster",
    };
    let parts: Vec<_> = subresources(kind)
        .into_iter()
        .map(|part| {
            json!({
                "subresource": part.name, "responseKind": response_kind(part.kind), "verbs": part.verbs,
            })
        })
        .collect();
    json!({
        "resource": names.plural, "responseKind": response_kind(kind), "scope": scope,
        "singularResource": names.singular, "verbs": VERBS, "shortNames": names.short,
        "categories": categories(kind), "subresources": parts,
    })
}

fn group((group, version): (&str, &str)) -> Value {
    let resources: Vec<_> = kinds(group, version).into_iter().map(resource).collect();
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

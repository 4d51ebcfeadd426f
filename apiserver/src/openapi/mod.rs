//! OpenAPI: version 3.0 per group and version for clients of today, 2.0 for older ones.
//!
//! Both are made of the JSON Schemas of `drover-types`, so what `kubectl explain` reads is what the server checks.

mod events;
mod operations;
mod schemas;
mod v2;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use drover_types::{GROUP, Kind};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use crate::answer::Document;
use crate::negotiate;

struct Documents {
    index: Document,
    /// By `api/v1` or `apis/GROUP/VERSION`.
    groups: BTreeMap<String, Document>,
    v2: Document,
    v2_protobuf: Document,
}

static DOCUMENTS: LazyLock<Documents> = LazyLock::new(|| {
    let mut documents: BTreeMap<String, Value> =
        group_versions().into_iter().map(|(path, kinds)| (path, v3(&kinds))).collect();
    documents.insert(events::PATH.into(), events::document(v3(&[Kind::Event])));
    let groups: BTreeMap<String, Document> =
        documents.iter().map(|(path, document)| (path.clone(), Document::json(document))).collect();
    let paths: BTreeMap<&String, Value> = groups
        .iter()
        .map(|(path, document)| {
            let url = format!("/openapi/v3/{path}?hash={}", document.tag());
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    Documents {
        index: Document::json(&json!({"paths": paths})),
        v2: Document::json(&v2::document(documents.into_values())),
        v2_protobuf: Document::new(v2::PROTOBUF_ANSWER, v2::PROTOBUF),
        groups,
    }
});

/// The kinds of each group and version, by the path that they begin with.
fn group_versions() -> BTreeMap<String, Vec<Kind>> {
    let mut groups: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in Kind::ALL {
        let names = kind.names();
        let path = match names.group {
            "" => "api/v1".to_owned(),
            group => format!("apis/{group}/{}", names.version),
        };
        groups.entry(path).or_default().push(kind);
    }
    groups
}

/// The document of one group and version.
fn v3(kinds: &[Kind]) -> Value {
    let mut paths = serde_json::Map::new();
    for kind in kinds {
        paths.extend(operations::paths(*kind));
    }
    json!({
        "openapi": "3.0.0", "info": info(), "paths": paths,
        "components": {"schemas": schemas::components(kinds), "securitySchemes": {
            "BearerToken": {"type": "http", "scheme": "bearer", "description": "A token of this server."},
        }},
        "security": [{"BearerToken": []}],
    })
}

fn info() -> Value {
    json!({"title": "Drover", "version": concat!("v", env!("CARGO_PKG_VERSION"))})
}

/// What the schema of a kind is called.
fn schema_name(kind: Kind) -> String {
    format!("{}.{}", prefix(kind), kind.names().kind)
}

fn prefix(kind: Kind) -> &'static str {
    match kind.names().group {
        "" => "io.k8s.api.core.v1",
        GROUP => "dev.drover.v1",
        _ => "io.k8s.api.coordination.v1",
    }
}

/// The answer at an address, if it is one of OpenAPI's.
pub(crate) fn answer(uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    match uri.path().trim_end_matches('/') {
        "/openapi/v3" => Some(DOCUMENTS.index.answer(headers, false)),
        "/openapi/v2" => {
            let ranges = negotiate::ranges(headers);
            let first = ranges.iter().find(|range| range.is_json() || range.media() == v2::PROTOBUF_ASKED);
            Some(match first {
                Some(range) if !range.is_json() => DOCUMENTS.v2_protobuf.answer(headers, false),
                None if !ranges.is_empty() => StatusCode::NOT_ACCEPTABLE.into_response(),
                _ => DOCUMENTS.v2.answer(headers, false),
            })
        }
        path => {
            let group = path.strip_prefix("/openapi/v3/")?;
            let document = DOCUMENTS.groups.get(group)?;
            let asked =
                uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("hash="));
            Some(document.answer(headers, asked == Some(document.tag())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All `$ref`s below a value.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_str() {
                        Some(target) if name == "$ref" => found.push(target.to_owned()),
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema_and_every_kind_to_its_patch() {
        for (path, kinds) in group_versions() {
            let document = v3(&kinds);
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(!found.is_empty());
            for target in found {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{path}: {target}");
            }
            for kind in kinds {
                let names = kind.names();
                let operations = document["paths"].as_object().unwrap().values();
                let patch = operations.filter_map(|item| item.get("patch")).find(|patch| {
                    patch["x-kubernetes-group-version-kind"]
                        == json!({"group": names.group, "version": names.version, "kind": names.kind})
                });
                let parameters = patch.unwrap()["parameters"].as_array().unwrap();
                assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
                let schema = &document["components"]["schemas"][schema_name(kind)];
                assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], names.kind);
                assert!(schema["description"].is_string() && schema["properties"]["metadata"].is_object());
            }
        }
    }

    #[test]
    fn the_newer_events_are_described_under_their_own_names() {
        let document = events::document(v3(&[Kind::Event]));
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.contains(&"#/components/schemas/io.k8s.api.events.v1.EventList".to_owned()));
        for target in found {
            assert!(document.pointer(&target[1..]).is_some(), "{target}");
        }
        let event = &document["components"]["schemas"]["io.k8s.api.events.v1.Event"];
        assert!(event["properties"]["regarding"].is_object() && event["properties"]["message"].is_null());
        let path = "/apis/events.k8s.io/v1/namespaces/{namespace}/events/{name}";
        let about = &document["paths"][path]["patch"]["x-kubernetes-group-version-kind"];
        assert_eq!((&about["group"], &about["kind"]), (&"events.k8s.io".into(), &"Event".into()));
    }

    #[test]
    fn a_document_that_is_named_by_its_hash_is_kept_for_ever() {
        let index: Value = serde_json::from_slice(&body(&DOCUMENTS.index)).unwrap();
        let url = index["paths"]["apis/drover.dev/v1"]["serverRelativeURL"].as_str().unwrap();
        let cached = |url: &str| {
            let answer = answer(&url.parse().unwrap(), &HeaderMap::new()).unwrap();
            answer.headers()["cache-control"].to_str().unwrap().to_owned()
        };
        assert!(cached(url).contains("immutable"));
        assert!(!cached("/openapi/v3/apis/drover.dev/v1").contains("immutable"));
        assert!(answer(&"/openapi/v3/apis/nobody.dev/v1".parse().unwrap(), &HeaderMap::new()).is_none());
    }

    fn body(document: &Document) -> Vec<u8> {
        document.bytes().to_vec()
    }
}

//! Which groups, versions and resources there are: aggregated for clients that ask for it, and in the legacy form.
//!
//! Absent: kinds that users define; the issue on them makes what is constant here change.

mod aggregated;
mod legacy;
mod resources;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use axum::response::Response;
use http::HeaderMap;

use crate::answer::Document;
use crate::error::ApiError;
use crate::negotiate;

/// Documents that were asked for before: there are as many as groups.
static MADE: Mutex<BTreeMap<String, Arc<Document>>> = Mutex::new(BTreeMap::new());

/// The answer at a path, if it is one of discovery's.
pub(crate) fn answer(path: &str, headers: &HeaderMap) -> Result<Option<Response>, ApiError> {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let aggregated = match segments.as_slice() {
        ["api"] => wanted(headers).map(|version| (true, version)),
        ["apis"] => wanted(headers).map(|version| (false, version)),
        _ => None,
    };
    let name = format!("{}{:?}", segments.join("/"), aggregated);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let document = match made.get(&name) {
        Some(document) => document.clone(),
        None => {
            let document = Arc::new(match aggregated {
                // Clients go by the parameters of this type: without them they see no resources at all.
                Some((core, "v2")) => Document::new(
                    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                    aggregated::document(core, "v2").to_string(),
                ),
                Some((core, version)) => Document::new(
                    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
                    aggregated::document(core, version).to_string(),
                ),
                None => match legacy::document(&segments) {
                    Some(document) => Document::json(&document),
                    None => return Ok(None),
                },
            });
            made.insert(name, document.clone());
            document
        }
    };
    drop(made);
    if aggregated.is_none() {
        negotiate::form(headers)?;
    }
    Ok(Some(document.answer(headers, false)))
}

/// The version of the aggregated form that a client prefers to all that it takes.
fn wanted(headers: &HeaderMap) -> Option<&'static str> {
    let ranges = negotiate::ranges(headers);
    let first = ranges.iter().filter(|range| range.is_json()).find_map(|range| match range.as_kind {
        "" => Some(None),
        "APIGroupDiscoveryList" if range.group == "apidiscovery.k8s.io" => {
            aggregated::VERSIONS.into_iter().find(|version| *version == range.version).map(Some)
        }
        _ => None,
    });
    first.flatten()
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use http::{HeaderValue, header};
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    async fn read(path: &str, accept: &str) -> Option<(String, Value)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        let response = answer(path, &headers).unwrap()?;
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Some((kind, serde_json::from_slice(&body).unwrap()))
    }

    #[tokio::test]
    async fn every_kind_can_be_discovered_in_both_forms() {
        const BOTH: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
            application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        for kind in Kind::ALL {
            let path = kind.path(None);
            let group = path.rsplit_once('/').unwrap().0;
            let (_, list) = read(group, "application/json").await.unwrap();
            assert_eq!(list["groupVersion"], kind.api_version());
            let found = list["resources"].as_array().unwrap().iter().any(|r| r["kind"] == kind.names().kind);
            assert!(found, "{kind:?}");
            let root = if kind.names().group.is_empty() { "/api" } else { "/apis" };
            let (content_type, all) = read(root, BOTH).await.unwrap();
            assert_eq!(content_type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
            let group =
                all["items"].as_array().unwrap().iter().find(|g| g["metadata"]["name"] == kind.names().group);
            let resources = group.unwrap()["versions"][0]["resources"].as_array().unwrap();
            let found = resources.iter().find(|r| r["resource"] == kind.names().plural).unwrap();
            assert_eq!(found["responseKind"]["kind"], kind.names().kind);
        }
    }

    #[tokio::test]
    async fn a_client_gets_the_form_that_it_asks_for() {
        let old =
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let (content_type, all) = read("/apis", old).await.unwrap();
        assert!(content_type.contains("v=v2beta1"), "{content_type}");
        assert_eq!(all["apiVersion"], "apidiscovery.k8s.io/v2beta1");
        for accept in [
            "application/json",
            "*/*",
            "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,*/*",
        ] {
            assert_eq!(read("/apis/", accept).await.unwrap().1["kind"], "APIGroupList", "{accept}");
        }
        assert!(read("/version/", "*/*").await.is_some() && read("/api/", "*/*").await.is_some());
        let groups = read("/apis/", "*/*").await.unwrap().1["groups"].clone();
        let names: Vec<_> = groups.as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
        assert_eq!(
            names,
            [
                "drover.dev",
                "authentication.k8s.io",
                "authorization.k8s.io",
                "coordination.k8s.io",
                "events.k8s.io"
            ]
        );
        for nothing in ["/apis/nobody.dev", "/apis/drover.dev/v2", "/api/v2", "/apis//v1"] {
            assert!(read(nothing, "*/*").await.is_none(), "{nothing}");
        }
    }
}

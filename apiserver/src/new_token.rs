//! `POST /apis/drover.dev/v1/tokens`: `{"role": "user", "name"}` or `{"role": "node", "nodeName", "allowedLabels"}`, and
//! `ttlSeconds`.

use std::collections::BTreeMap;

use axum::response::Response;
use drover_types::validate::names;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::answer::object_answer;
use crate::error::ApiError;
use crate::identity::Role;
use crate::json::Decoded;
use crate::server::Server;
use crate::sessions::join_labels;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    role: String,
    name: Option<String>,
    node_name: Option<String>,
    #[serde(default)]
    allowed_labels: BTreeMap<String, Vec<String>>,
    ttl_seconds: Option<i64>,
}

/// Makes a token and shows it, this once.
pub(crate) async fn create(server: &Server, body: &Decoded) -> Result<Response, ApiError> {
    if let Some(path) = body.duplicates.first() {
        return Err(ApiError::bad_request(format!("strict decoding error: duplicate field \"{path}\"")));
    }
    let wish: Wish = serde_json::from_value(body.value.clone())
        .map_err(|error| ApiError::bad_request(format!("the request for a token cannot be read: {error}")))?;
    let ttl = wish.ttl_seconds;
    let token = server.tokens().create(role(wish)?, ttl).await?;
    Ok(object_answer(StatusCode::CREATED, &json!({"token": token}), &[]))
}

/// What is wished for, if a host could ever use it.
fn role(wish: Wish) -> Result<Role, ApiError> {
    let refused = |why: String| Err(ApiError::bad_request(why));
    match wish.role.as_str() {
        "user" => return Ok(Role::Admin { name: wish.name.unwrap_or_else(|| "user".into()) }),
        "node" => {}
        other => return refused(format!("role: {other:?} is neither \"user\" nor \"node\"")),
    }
    if let Some(name) = wish.node_name.as_ref().filter(|name| !names::is_dns_subdomain(name)) {
        return refused(format!("nodeName: {name:?} is not the name of a node"));
    }
    for (key, values) in &wish.allowed_labels {
        for value in values {
            if !names::is_label_key(key) || !names::is_label_value(value) {
                return refused(format!("allowedLabels: {key}={value} is not a label"));
            }
            if join_labels::is_reserved(key) {
                return refused(format!("allowedLabels: {}", join_labels::reserved(key, value)));
            }
        }
    }
    Ok(Role::Join { allowed_labels: wish.allowed_labels, node_name: wish.node_name })
}

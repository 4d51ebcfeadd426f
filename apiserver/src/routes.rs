//! From a request to a verb: paths, negotiation, bodies, authentication and the answer.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use drover_types::{Kind, Scope as KindScope};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::body::read_body;
use crate::error::ApiError;
use crate::identity::Role;
use crate::json::{self, Decoded};
use crate::list::Scope;
use crate::objects::{DeleteOptions, Deleted, Place, Written, to_bytes};
use crate::prepare::{self, Part};
use crate::query::Params;
use crate::server::Server;
use crate::{backup_route, discovery, invoke, new_token, sessions, streams};

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    kind: Kind,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    sub: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let by_path = |plural: &str| Kind::by_path(group, version, plural);
        let target = match rest {
            // `namespaces/x/status` is a part of the namespace, `namespaces/x/timers` lies in it.
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                let kind = by_path(plural).filter(|kind| kind.names().scope == KindScope::Namespaced)?;
                Self { kind, namespace: Some(namespace), ..Self::tail(kind, rest)? }
            }
            [plural, rest @ ..] => Self::tail(by_path(plural)?, rest)?,
            [] => return None,
        };
        let cluster_wide_object = target.name.is_some()
            && target.namespace.is_none()
            && target.kind.names().scope == KindScope::Namespaced;
        (!cluster_wide_object).then_some(target)
    }

    fn tail(kind: Kind, rest: &[&'a str]) -> Option<Self> {
        let (name, sub) = match rest {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, sub] => (Some(*name), Some(*sub)),
            _ => return None,
        };
        if name == Some("") || sub == Some("") {
            return None;
        }
        Some(Self { kind, namespace: None, name, sub })
    }
}

fn json_answer(code: StatusCode, body: impl Into<Body>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (code, kind, body.into()).into_response()
}

pub(crate) fn object_answer(code: StatusCode, object: &Value, warnings: &[String]) -> Response {
    let mut response = json_answer(code, to_bytes(object));
    for warning in warnings {
        let text: String = warning.chars().filter(|c| !c.is_control()).collect();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

fn unknown_path() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// A JSON body; absent Content-Type is JSON too.
pub(crate) fn decode_json(headers: &HeaderMap, bytes: &[u8]) -> Result<Decoded, ApiError> {
    match media_type(headers) {
        "" | "application/json" => json::decode(bytes),
        _ => Err(ApiError::unsupported_media_type("application/json")),
    }
}

/// JSON is all that is spoken.
fn negotiate(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut any = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            any = true;
            let media = range.split(';').next().unwrap_or_default().trim();
            if matches!(media, "" | "*/*" | "application/*" | "application/json") {
                return Ok(());
            }
        }
    }
    if any { Err(ApiError::not_acceptable()) } else { Ok(()) }
}

/// A browser cannot set headers on a WebSocket: it offers its token as a subprotocol.
const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

pub(crate) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    let encoded = protocols(headers).find_map(|protocol| protocol.strip_prefix(BEARER_PROTOCOL))?;
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

pub(crate) fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers one request.
pub(crate) async fn handle(server: Server, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let path = parts.uri.path().to_owned();
    let resource = Target::parse(&path).map_or("none", |target| target.kind.names().plural);
    let response = match route(&server, &mut parts, body, &path).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    server.metrics().answered(resource, &method, response.status().as_u16());
    response
}

async fn route(server: &Server, parts: &mut Parts, body: Body, path: &str) -> Result<Response, ApiError> {
    if matches!(path, "/livez" | "/readyz" | "/healthz") {
        return if parts.method != Method::GET && parts.method != Method::HEAD {
            Err(ApiError::method_not_allowed(&parts.method))
        } else if path == "/readyz" && server.is_stopping() {
            Err(ApiError::unavailable("the server is shutting down"))
        } else if server.metrics().is_poisoned() {
            // Whoever looks after the process is to start it again: only that tells what is on the disk.
            Err(ApiError::unavailable(
                "a write to the disk failed; the store takes none until the next start",
            ))
        } else {
            Ok("ok".into_response())
        };
    }
    let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
    let role = server.tokens().identify(&token).await?;
    if let Some(route) = sessions::Route::parse(path) {
        return sessions::answer(server, route, &role, (parts, body)).await;
    }
    let target = Target::parse(path);
    let allowed = match role {
        Role::Admin { .. } => true,
        Role::Controller => target.is_some(),
        Role::Join { .. } | Role::Node { .. } => false,
    };
    if !allowed {
        return Err(match &target {
            Some(target) => ApiError::forbidden(
                target.kind,
                target.name.unwrap_or_default(),
                "this token belongs to a node, and may not do this",
            ),
            None => ApiError::new(403, "Forbidden", format!("forbidden: {path}")),
        });
    }
    if path != backup_route::PATH {
        negotiate(&parts.headers)?;
    }
    if parts.method == Method::GET {
        if path == "/metrics" {
            let text = server.metrics().encode().map_err(|error| ApiError::internal(&error))?;
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            return Ok(([(header::CONTENT_TYPE, kind)], text).into_response());
        }
        if let Some(document) = discovery::document(path) {
            return Ok(json_answer(StatusCode::OK, to_bytes(&document)));
        }
    }
    if path.trim_end_matches('/') == "/apis/drover.dev/v1/tokens" {
        if parts.method != Method::POST {
            return Err(ApiError::method_not_allowed(&parts.method));
        }
        let bytes = read_body(&parts.headers, body).await?;
        return new_token::create(server, &decode_json(&parts.headers, &bytes)?).await;
    }
    if path == backup_route::PATH {
        if parts.method != Method::GET {
            return Err(ApiError::method_not_allowed(&parts.method));
        }
        return backup_route::answer(server).await;
    }
    let Some(target) = target else { return Ok(unknown_path()) };
    let params = Params::parse(&parts.uri)?;
    match (target.name, target.sub) {
        (None, _) => collection(server, parts, body, &target, &params).await,
        (Some(name), Some("run")) if target.kind == Kind::Task => {
            if parts.method != Method::POST {
                return Err(ApiError::method_not_allowed(&parts.method));
            }
            let bytes = read_body(&parts.headers, body).await?;
            let call = invoke::Call::decode(decode_json(&parts.headers, &bytes)?)?;
            let at = Place { kind: Kind::Task, namespace: target.namespace, name };
            Ok(answer_written(&server.objects().call_task(at, call, params.dry_run).await?))
        }
        (Some(name), sub) => {
            let part = match sub {
                None => Part::Main,
                Some("status") if target.kind.names().has_status => Part::Status,
                Some(_) => return Ok(unknown_path()),
            };
            let at = Place { kind: target.kind, namespace: target.namespace, name };
            object(server, (parts, body), at, part, &params).await
        }
    }
}

async fn collection(
    server: &Server,
    parts: &mut Parts,
    body: Body,
    target: &Target<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let objects = server.objects();
    // Across namespaces there is nothing but reading.
    let everywhere = target.namespace.is_none() && target.kind.names().scope == KindScope::Namespaced;
    match parts.method {
        _ if everywhere && parts.method != Method::GET => Err(ApiError::method_not_allowed(&parts.method)),
        Method::GET if params.watch || wants_websocket(&parts.headers) => {
            let scope = Scope::new(target.kind, target.namespace, params)?;
            watch(server, parts, scope, params).await
        }
        Method::GET => {
            let scope = Scope::new(target.kind, target.namespace, params)?;
            Ok(json_answer(StatusCode::OK, objects.list(&scope, params)?))
        }
        Method::POST => {
            let bytes = read_body(&parts.headers, body).await?;
            let decoded = decode_json(&parts.headers, &bytes)?;
            let written = objects.create(target.kind, target.namespace, decoded, params).await?;
            Ok(answer_written(&written))
        }
        Method::DELETE => {
            let bytes = read_body(&parts.headers, body).await?;
            let options = delete_options(&parts.headers, &bytes, params)?;
            let scope = Scope::new(target.kind, target.namespace, params)?;
            delete_collection(server, &scope, &options).await
        }
        _ => Err(ApiError::method_not_allowed(&parts.method)),
    }
}

fn answer_written(written: &Written) -> Response {
    let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    object_answer(code, &written.object, &written.warnings)
}

async fn object(
    server: &Server,
    (parts, body): (&mut Parts, Body),
    at: Place<'_>,
    part: Part,
    params: &Params,
) -> Result<Response, ApiError> {
    let objects = server.objects();
    match parts.method {
        Method::GET if part == Part::Main && params.watch => {
            let mut params = params.clone();
            params.field_selector = format!("metadata.name={}", at.name);
            let scope = Scope::new(at.kind, at.namespace, &params)?;
            watch(server, parts, scope, &params).await
        }
        Method::GET => Ok(object_answer(StatusCode::OK, &objects.get(at)?.object, &[])),
        Method::PUT => {
            let bytes = read_body(&parts.headers, body).await?;
            let written = objects.replace(at, part, decode_json(&parts.headers, &bytes)?, params).await?;
            Ok(answer_written(&written))
        }
        Method::PATCH => {
            if media_type(&parts.headers) != "application/merge-patch+json" {
                return Err(ApiError::unsupported_media_type("application/merge-patch+json"));
            }
            let bytes = read_body(&parts.headers, body).await?;
            Ok(answer_written(&objects.patch(at, part, json::decode(&bytes)?, params).await?))
        }
        Method::DELETE if part == Part::Main => {
            let bytes = read_body(&parts.headers, body).await?;
            let options = delete_options(&parts.headers, &bytes, params)?;
            Ok(match objects.delete(at, &options).await? {
                Deleted::Held(object) => object_answer(StatusCode::OK, &object, &[]),
                Deleted::Gone(object) => {
                    let names = at.kind.names();
                    let mut details = json!({
                        "name": at.name, "kind": names.plural, "uid": prepare::text(&object, "uid"),
                    });
                    if !names.group.is_empty() {
                        details["group"] = names.group.into();
                    }
                    let status = json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                        "details": details,
                    });
                    object_answer(StatusCode::OK, &status, &[])
                }
            })
        }
        _ => Err(ApiError::method_not_allowed(&parts.method)),
    }
}

fn delete_options(headers: &HeaderMap, bytes: &[u8], params: &Params) -> Result<DeleteOptions, ApiError> {
    let body = if bytes.is_empty() { json!({}) } else { decode_json(headers, bytes)?.value };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let revision = match text("/preconditions/resourceVersion") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            ApiError::bad_request(format!("preconditions.resourceVersion: {text:?} is not a decimal u64"))
        })?),
    };
    let dry_run = match body.get("dryRun").and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => params.dry_run,
        Some([all]) if all == "All" => true,
        Some(_) => return Err(ApiError::bad_request("dryRun: only [\"All\"] is supported")),
    };
    Ok(DeleteOptions {
        uid: text("/preconditions/uid"),
        revision,
        propagation: text("/propagationPolicy").or_else(|| params.propagation.clone()),
        dry_run,
    })
}

async fn delete_collection(
    server: &Server,
    scope: &Scope,
    options: &DeleteOptions,
) -> Result<Response, ApiError> {
    let objects = server.objects();
    let found = objects.snapshot(scope, None, None, 0).map_err(crate::objects::store_error)?;
    for held in found.items {
        let stored = crate::objects::Stored::decode(&held)?;
        let name = prepare::text(&stored.object, "name").to_owned();
        let namespace = prepare::text(&stored.object, "namespace").to_owned();
        let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
        match objects.delete(Place { kind: scope.kind, namespace, name: &name }, options).await {
            // Another one was quicker: it is gone all the same.
            Err(error) if error.code() != 404 => return Err(error),
            _ => {}
        }
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    Ok(object_answer(StatusCode::OK, &status, &[]))
}

async fn watch(
    server: &Server,
    parts: &mut Parts,
    scope: Scope,
    params: &Params,
) -> Result<Response, ApiError> {
    let upgrade = if wants_websocket(&parts.headers) {
        let offered: Vec<String> = protocols(&parts.headers)
            .filter(|protocol| !protocol.starts_with(BEARER_PROTOCOL) && !protocol.is_empty())
            .map(str::to_owned)
            .collect();
        let upgrade = WebSocketUpgrade::from_request_parts(parts, &())
            .await
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        Some(match offered.into_iter().next() {
            Some(protocol) => upgrade.protocols([protocol]),
            None => upgrade,
        })
    } else {
        None
    };
    let seat = server.watch_seat()?;
    let begun = server.objects().watch(scope, params)?;
    Ok(match upgrade {
        Some(upgrade) => streams::over_websocket(upgrade, begun, seat, server.stopping()),
        None => streams::over_http(begun, seat, server.stopping()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_thing_or_nothing() {
        let timer = Target::parse("/apis/drover.dev/v1/namespaces/a/timers/t/status").unwrap();
        let expected =
            Target { kind: Kind::Timer, namespace: Some("a"), name: Some("t"), sub: Some("status") };
        assert_eq!(timer, expected);
        assert_eq!(Target::parse("/api/v1/namespaces/a").unwrap().kind, Kind::Namespace);
        assert_eq!(Target::parse("/api/v1/namespaces/a/status").unwrap().kind, Kind::Namespace);
        assert_eq!(Target::parse("/api/v1/namespaces/a/secrets").unwrap().namespace, Some("a"));
        assert_eq!(Target::parse("/apis/drover.dev/v1/timers").unwrap().namespace, None);
        for path in [
            "/api/v1/timers",
            "/apis/drover.dev/v1/timers/t",
            "/api/v1/namespaces/a/nodes",
            "/apis/drover.dev/v2/timers",
            "/api/v1/namespaces/a/secrets//x",
            "/",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}

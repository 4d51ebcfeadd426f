//! From a request to what answers it: authentication, paths, negotiation.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use drover_types::Kind;
use http::request::Parts;
use http::{Method, header};

use crate::answer::unknown_path;
use crate::body::read_body;
use crate::content::decode_body;
use crate::credentials::bearer;
use crate::error::ApiError;
use crate::events::Face;
use crate::identity::Role;
use crate::objects::Place;
use crate::ownership::Author;
use crate::prepare::Part;
use crate::query::Params;
use crate::reviews::{self, Review};
use crate::server::Server;
use crate::target::Target;
use crate::verbs::{self, answer_written};
use crate::{
    accounts, backup_route, compress, discovery, invoke, negotiate, new_token, openapi, scale, sessions,
};

/// Answers one request.
pub(crate) async fn handle(server: Server, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let path = parts.uri.path().to_owned();
    let resource = Target::parse(&path).map_or("none", |target| target.kind.names().plural);
    let gzip = compress::is_taken(&parts.headers);
    let response = match route(&server, &mut parts, body, &path).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    server.metrics().answered(resource, &method, response.status().as_u16());
    compress::answer(response, gzip)
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
    let role = server.identify(&token).await?;
    if let Some(route) = sessions::Route::parse(path) {
        return sessions::answer(server, route, &role, (parts, body)).await;
    }
    let target = Target::parse(path);
    if target.is_none()
        && let Some(review) = Review::at(path)
    {
        return reviews::answer(server, review, &role, (parts, body)).await;
    }
    let allowed = match &role {
        Role::Admin { .. } => true,
        Role::Controller => target.is_some(),
        Role::ServiceAccount(account) => {
            accounts::check(server, account, (&parts.method, path), target.as_ref())?;
            true
        }
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
    // What names objects is no document: most requests are spared the look.
    if parts.method == Method::GET && target.is_none() {
        if path == "/metrics" {
            let text = server.metrics().encode().map_err(|error| ApiError::internal(&error))?;
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            return Ok(([(header::CONTENT_TYPE, kind)], text).into_response());
        }
        if let Some(answer) = discovery::answer(path, &parts.headers)? {
            return Ok(answer);
        }
        if let Some(answer) = openapi::answer(&parts.uri, &parts.headers) {
            return Ok(answer);
        }
    }
    if path == backup_route::PATH {
        if parts.method != Method::GET {
            return Err(ApiError::method_not_allowed(&parts.method));
        }
        return backup_route::answer(server).await;
    }
    let form = negotiate::form(&parts.headers)?;
    if path.trim_end_matches('/') == "/apis/drover.dev/v1/tokens" {
        if parts.method != Method::POST {
            return Err(ApiError::method_not_allowed(&parts.method));
        }
        let bytes = read_body(&parts.headers, body).await?;
        return new_token::create(server, &decode_body(&parts.headers, &bytes)?).await;
    }
    let Some(target) = target else { return Ok(unknown_path()) };
    let mut params = Params::parse(&parts.uri)?;
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    params.booking.author = Author::new(&role, agent);
    params.face = Face::of(path);
    match (target.name, target.sub) {
        (None, _) => verbs::collection(server, (parts, body), &target, &params, form).await,
        (Some(name), Some("run")) if target.kind == Kind::Task => {
            if parts.method != Method::POST {
                return Err(ApiError::method_not_allowed(&parts.method));
            }
            let bytes = read_body(&parts.headers, body).await?;
            let call = invoke::Call::decode(decode_body(&parts.headers, &bytes)?)?;
            let at = Place { kind: Kind::Task, namespace: target.namespace, name };
            let written = server.objects().call_task(at, call, params.dry_run).await?;
            Ok(answer_written(&written, Face::Stored))
        }
        (Some(name), Some("token")) if target.kind == Kind::ServiceAccount => {
            if parts.method != Method::POST {
                return Err(ApiError::method_not_allowed(&parts.method));
            }
            let bytes = read_body(&parts.headers, body).await?;
            let at = Place { kind: target.kind, namespace: target.namespace, name };
            let asked = decode_body(&parts.headers, &bytes)?;
            accounts::create_token(server, at, asked, params.dry_run).await
        }
        (Some(name), sub) => {
            let at = Place { kind: target.kind, namespace: target.namespace, name };
            let part = match sub {
                None => Part::Main,
                Some("scale") => {
                    let Some(counts) = scale::of(target.kind) else { return Ok(unknown_path()) };
                    return scale::answer(server, (parts, body), (at, counts), &params, form).await;
                }
                Some("status") if target.kind.names().has_status => Part::Status,
                Some(_) => return Ok(unknown_path()),
            };
            verbs::object(server, (parts, body), (at, part), &params, form).await
        }
    }
}

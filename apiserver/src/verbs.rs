//! The verbs of collections and of objects, from a request to its answer.

use axum::body::Body;
use axum::extract::{FromRequestParts as _, WebSocketUpgrade};
use axum::response::Response;
use drover_types::Scope as KindScope;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{json_answer, object_answer};
use crate::body::read_body;
use crate::content::{APPLY, decode_body, decode_json_or_yaml, media_type, patch_types};
use crate::credentials::{BEARER_PROTOCOL, protocols, wants_websocket};
use crate::delete::{DeleteOptions, Deleted};
use crate::error::ApiError;
use crate::events::Face;
use crate::json::Decoded;
use crate::list::Scope;
use crate::negotiate::Form;
use crate::objects::{Place, Written};
use crate::patch::Patch;
use crate::prepare::{self, Part};
use crate::presenter::Presenter;
use crate::query::Params;
use crate::server::Server;
use crate::target::Target;
use crate::{protobuf, streams};

pub(crate) async fn collection(
    server: &Server,
    (parts, body): (&mut Parts, Body),
    target: &Target<'_>,
    params: &Params,
    form: Form,
) -> Result<Response, ApiError> {
    let objects = server.objects();
    let presenter =
        Presenter::new(target.kind, form, params.include, &objects.world.clock).facing(params.face);
    // Across namespaces there is nothing but reading.
    let everywhere = target.namespace.is_none() && target.kind.names().scope == KindScope::Namespaced;
    match parts.method {
        _ if everywhere && parts.method != Method::GET => Err(ApiError::method_not_allowed(&parts.method)),
        Method::GET if params.watch || wants_websocket(&parts.headers) => {
            let scope = Scope::new(target.kind, target.namespace, params)?;
            watch(server, parts, scope, params, presenter).await
        }
        Method::GET => {
            let scope = Scope::new(target.kind, target.namespace, params)?;
            let listed = objects.list(&scope, params, presenter)?;
            let mut response = json_answer(StatusCode::OK, listed.body);
            response.extensions_mut().insert(listed.about);
            Ok(response)
        }
        Method::POST => {
            let bytes = read_body(&parts.headers, body).await?;
            let (decoded, unknown) = sent(decode_body(&parts.headers, &bytes)?, params)?;
            let mut written = objects.create(target.kind, target.namespace, decoded, params).await?;
            written.warnings.extend(unknown);
            Ok(answer_written(&written, params.face))
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

/// What a client sent, under the names that it is stored under.
fn sent(decoded: Decoded, params: &Params) -> Result<(Decoded, Vec<String>), ApiError> {
    let (value, unknown) = params.face.stored(decoded.value, params.field_validation)?;
    Ok((Decoded { value, ..decoded }, unknown))
}

pub(crate) fn answer_written(written: &Written, face: Face) -> Response {
    let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    object_answer(code, &face.shown(&written.object), &written.warnings)
}

pub(crate) async fn object(
    server: &Server,
    (parts, body): (&mut Parts, Body),
    (at, part): (Place<'_>, Part),
    params: &Params,
    form: Form,
) -> Result<Response, ApiError> {
    let objects = server.objects();
    let presenter = Presenter::new(at.kind, form, params.include, &objects.world.clock).facing(params.face);
    match parts.method {
        Method::GET if part == Part::Main && params.watch => {
            let mut params = params.clone();
            params.field_selector = format!("metadata.name={}", at.name);
            let scope = Scope::new(at.kind, at.namespace, &params)?;
            watch(server, parts, scope, &params, presenter).await
        }
        Method::GET => {
            let object = objects.get(at)?.object;
            Ok(object_answer(StatusCode::OK, &presenter.object(&object), &[]))
        }
        // Its status is not read, and to write none would take away the one there is.
        Method::PUT if part == Part::Status && media_type(&parts.headers) == protobuf::MEDIA_TYPE => {
            Err(ApiError::unsupported_media_type("application/json, application/yaml"))
        }
        Method::PUT => {
            let bytes = read_body(&parts.headers, body).await?;
            let (decoded, unknown) = sent(decode_body(&parts.headers, &bytes)?, params)?;
            let mut written = objects.replace(at, part, decoded, params).await?;
            written.warnings.extend(unknown);
            Ok(answer_written(&written, params.face))
        }
        Method::PATCH => {
            let type_ = media_type(&parts.headers).to_owned();
            let patch = Patch::of(&type_);
            if patch.is_none() && type_ != APPLY {
                let known = patch_types(at.kind).join(", ");
                return Err(ApiError::unsupported_media_type(&known));
            }
            let bytes = read_body(&parts.headers, body).await?;
            let mut warnings = Vec::new();
            let mut written = match patch {
                Some(patch) => {
                    let body = crate::json::decode(&bytes)?;
                    objects.patch(at, part, (patch, body), params).await?
                }
                None => {
                    let (config, unknown) = sent(decode_json_or_yaml(&bytes)?, params)?;
                    warnings = unknown;
                    objects.apply(at, part, config, params).await?
                }
            };
            written.warnings.extend(warnings);
            Ok(answer_written(&written, params.face))
        }
        Method::DELETE if part == Part::Main => {
            let bytes = read_body(&parts.headers, body).await?;
            let options = delete_options(&parts.headers, &bytes, params)?;
            Ok(match objects.delete(at, &options).await? {
                Deleted::Held(object) => object_answer(StatusCode::OK, &params.face.shown(&object), &[]),
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
    let body = if bytes.is_empty() { json!({}) } else { decode_body(headers, bytes)?.value };
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
    presenter: Presenter,
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
    let begun = server.objects().watch(scope, params, presenter)?;
    Ok(match upgrade {
        Some(upgrade) => streams::over_websocket(upgrade, begun, seat, server.stopping()),
        None => streams::over_http(begun, seat, server.stopping()),
    })
}

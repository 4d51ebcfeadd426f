//! The paths of nodes: join, session, trigger and log.

use axum::body::Body;
use axum::extract::{FromRequestParts as _, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use drover_types::Kind;
use drover_wire::{JoinRequest, MAX_FRAME, SUBPROTOCOL};
use http::request::Parts;
use http::{Method, StatusCode};

use super::{Sessions, session};
use crate::body::read_body;
use crate::content::decode_body;
use crate::credentials::{bearer, protocols, wants_websocket};
use crate::error::ApiError;
use crate::identity::{Role, Tokens};
use crate::server::Server;

/// A session is idle most of its life, and there are thousands.
const READ_BUFFER: usize = 4 << 10;
/// What a stuck socket may hold back: two of the longest frames.
const WRITE_BUFFER: usize = 2 * MAX_FRAME;

/// A path that is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// A host becomes a node.
    Join { node: &'a str },
    /// A node's session.
    Session { node: &'a str },
    /// Run a Timer now.
    Trigger { namespace: &'a str, timer: &'a str },
    /// A Run's output.
    Log { namespace: &'a str, run: &'a str },
}

impl<'a> Route<'a> {
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/apis/drover.dev/v1/")?;
        let segments: Vec<_> = rest.split('/').collect();
        match segments.as_slice() {
            ["nodes", node, "join"] => Some(Self::Join { node }),
            ["nodes", node, "session"] => Some(Self::Session { node }),
            ["namespaces", namespace, "timers", timer, "trigger"] => Some(Self::Trigger { namespace, timer }),
            ["namespaces", namespace, "runs", run, "log"] => Some(Self::Log { namespace, run }),
            _ => None,
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Join { .. } | Self::Trigger { .. } => Method::POST,
            Self::Session { .. } | Self::Log { .. } => Method::GET,
        }
    }
}

/// Answers a request to one of them.
pub(crate) async fn answer(
    server: &Server,
    route: Route<'_>,
    role: &Role,
    (parts, body): (&mut Parts, Body),
) -> Result<Response, ApiError> {
    if parts.method != route.method() {
        return Err(ApiError::method_not_allowed(&parts.method));
    }
    let sessions = server.sessions();
    match route {
        Route::Join { node } => {
            let bytes = read_body(&parts.headers, body).await?;
            let decoded = decode_body(&parts.headers, &bytes)?;
            if let Some(path) = decoded.duplicates.first() {
                return Err(ApiError::bad_request(format!("duplicate field \"{path}\"")));
            }
            let request: JoinRequest = serde_json::from_value(decoded.value)
                .map_err(|error| ApiError::bad_request(format!("the join cannot be read: {error}")))?;
            let joined = sessions.join(role, node, request).await?;
            Ok((StatusCode::CREATED, axum::Json(joined)).into_response())
        }
        Route::Session { node } => open_session(sessions, role, node, parts).await,
        Route::Trigger { namespace, timer } => {
            operators_only(role, Kind::Timer, timer)?;
            let bytes = read_body(&parts.headers, body).await?;
            let decoded = if bytes.is_empty() { None } else { Some(decode_body(&parts.headers, &bytes)?) };
            sessions.trigger(namespace, timer, decoded).await
        }
        Route::Log { namespace, run } => {
            operators_only(role, Kind::Run, run)?;
            sessions.log(namespace, run, &parts.uri).await
        }
    }
}

fn operators_only(role: &Role, kind: Kind, name: &str) -> Result<(), ApiError> {
    match role {
        Role::Admin { .. } | Role::Controller => Ok(()),
        Role::Join { .. } | Role::Node { .. } => {
            Err(ApiError::forbidden(kind, name, "this token belongs to a node, and may not do this"))
        }
        Role::ServiceAccount(account) => {
            let detail = format!("User \"{}\" cannot do this", account.user());
            Err(ApiError::forbidden(kind, name, &detail))
        }
    }
}

async fn open_session(
    sessions: &Sessions,
    role: &Role,
    node: &str,
    parts: &mut Parts,
) -> Result<Response, ApiError> {
    let Role::Node { name, uid } = role else {
        let detail = "a session takes the node's own credential";
        return Err(ApiError::forbidden(Kind::Node, node, detail));
    };
    if name != node {
        return Err(ApiError::forbidden(Kind::Node, node, "this credential is of another node"));
    }
    let member = sessions.member(name, uid)?;
    let record = Tokens::key(&bearer(&parts.headers).unwrap_or_default());
    if !wants_websocket(&parts.headers) || !protocols(&parts.headers).any(|offered| offered == SUBPROTOCOL) {
        return Err(ApiError::bad_request(format!(
            "a session is a WebSocket with subprotocol {SUBPROTOCOL}"
        )));
    }
    if sessions.0.stop.is_cancelled() {
        return Err(ApiError::unavailable("the server is shutting down"));
    }
    let Ok(socket) = sessions.0.sockets.clone().try_acquire_owned() else {
        sessions.0.counters.shed.inc();
        return Err(ApiError::too_many("too many sessions"));
    };
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let sessions = sessions.clone();
    let task = sessions.0.tasks.token();
    Ok(upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .on_upgrade(move |stream| async move {
            session::serve(sessions, (member, record), stream).await;
            drop((socket, task));
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_are_answered() {
        let base = "/apis/drover.dev/v1";
        let parse = |rest: &str| Route::parse(&format!("{base}/{rest}")).is_some();
        assert!(parse("nodes/n/join") && parse("nodes/n/session"));
        assert!(parse("namespaces/a/timers/t/trigger") && parse("namespaces/a/runs/r/log"));
        for other in ["nodes/n", "nodes/n/join/x", "timers/t/trigger", "namespaces/a/tasks/t/trigger"] {
            assert!(!parse(other), "{other}");
        }
    }
}

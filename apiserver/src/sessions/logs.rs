//! `runs/X/log`: a run's output, asked of the agent that has it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::response::Response;
use drover_types::Kind;
use drover_wire::LogStart;
use futures_util::stream;
use http::{HeaderValue, Uri, header};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::Sessions;
use super::log_stream::{LogStream, LogWish};
use super::registry::Command;
use crate::error::ApiError;
use crate::objects::Place;
use crate::prepare;

/// How long a refusal of the agent is waited for before the answer begins without one.
const FIRST: Duration = Duration::from_secs(2);
/// How long the session may take to ask.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    follow: bool,
    timestamps: bool,
    start: LogStart,
}

impl Asked {
    fn parse(uri: &Uri, now: Timestamp) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request(format!("the query cannot be read: {error}")))?;
        let mut asked = Self::default();
        let mut started_by: Option<String> = None;
        for (name, value) in pairs {
            let start = match name.as_str() {
                "follow" => {
                    asked.follow = flag(&name, &value)?;
                    continue;
                }
                "timestamps" => {
                    asked.timestamps = flag(&name, &value)?;
                    continue;
                }
                "tailLines" => LogStart::Tail(number(&name, &value)?),
                "sinceSeconds" => {
                    let seconds = i64::try_from(number(&name, &value)?).unwrap_or(i64::MAX);
                    LogStart::Since(
                        now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN),
                    )
                }
                "sinceTime" => LogStart::Since(value.parse().map_err(|error| wrong(&name, &value, error))?),
                // What a Run has none of, or what is always so.
                "container" | "pretty" | "insecureSkipTLSVerifyBackend" => continue,
                "previous" if !flag(&name, &value)? => continue,
                "stream" if matches!(value.as_str(), "" | "All") => continue,
                _ => {
                    return Err(ApiError::bad_request(format!(
                        "query parameter {name}: this server's logs do not have it"
                    )));
                }
            };
            if let Some(other) = started_by.filter(|other| *other != name) {
                let message = format!("query parameters {other} and {name}: set one of them");
                return Err(ApiError::bad_request(message));
            }
            started_by = Some(name);
            asked.start = start;
        }
        Ok(asked)
    }
}

fn wrong(name: &str, value: &str, error: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("query parameter {name}: {value:?}: {error}"))
}

fn number(name: &str, value: &str) -> Result<u64, ApiError> {
    value.parse().map_err(|error| wrong(name, value, error))
}

fn flag(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(wrong(name, value, "is neither true nor false")),
    }
}

impl Sessions {
    /// Streams a run's output.
    pub(super) async fn log(&self, namespace: &str, run: &str, uri: &Uri) -> Result<Response, ApiError> {
        let asked = Asked::parse(uri, self.0.objects.world.clock.now())?;
        let held =
            self.0.objects.get(Place { kind: Kind::Run, namespace: Some(namespace), name: run })?.object;
        let node = held.pointer("/spec/nodeName").and_then(|name| name.as_str()).unwrap_or_default();
        let wish = LogWish {
            namespace: namespace.to_owned(),
            run: run.to_owned(),
            uid: prepare::text(&held, "uid").to_owned(),
            follow: asked.follow,
            start: asked.start,
            timestamps: asked.timestamps,
        };
        let stream = self.open_log(node, wish).await?;
        // A refusal comes at once. Output may take any time, so what has not come yet is not waited for.
        let _ = tokio::time::timeout(FIRST, stream.ready()).await;
        match stream.refusal() {
            Some(broken) if broken.reason == "NotFound" => {
                Err(ApiError::new(404, "NotFound", format!("node {node}: {broken}")))
            }
            Some(broken) => Err(ApiError::unavailable(format!("node {node}: {broken}"))),
            None => Ok(body(stream)),
        }
    }

    async fn open_log(&self, node: &str, wish: LogWish) -> Result<LogStream, ApiError> {
        let Some(handle) = self.0.registry.get(node) else {
            return Err(ApiError::unavailable(format!(
                "the output is on node {node:?}, which has no session with the server now"
            )));
        };
        let (answer, answered) = oneshot::channel();
        let asked = async {
            handle.commands.send(Command::Log { wish, answer }).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(Ok(stream))) => Ok(stream),
            Ok(Some(Err(refused))) => Err(ApiError::too_many(format!("node {node}: {refused}"))),
            Ok(None) | Err(_) => Err(ApiError::unavailable(format!("the session with node {node:?} ended"))),
        }
    }
}

/// The body. A stream that breaks breaks it too, so that no client takes half an output for the whole.
fn body(stream: LogStream) -> Response {
    let chunks = stream::unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        match stream.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(stream))),
            Ok(None) => None,
            Err(broken) => {
                tracing::debug!(%broken, "an output ended before its time");
                Some((Err(broken), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Asked, ApiError> {
        Asked::parse(&format!("/x?{query}").parse().unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_would_change_the_meaning_is_refused() {
        let asked = parse("follow=true&tailLines=5&timestamps=1&container=x&previous=false").unwrap();
        assert_eq!(asked, Asked { follow: true, timestamps: true, start: LogStart::Tail(5) });
        let since = LogStart::Since(Timestamp::from_second(-60).unwrap());
        assert_eq!(parse("sinceSeconds=60").unwrap().start, since);
        assert_eq!(parse("sinceTime=1969-12-31T23:59:00Z").unwrap().start, since);
        for query in
            ["previous=true", "limitBytes=5", "tailLines=x", "tailLines=1&sinceSeconds=2", "stream=Stdout"]
        {
            assert_eq!(parse(query).unwrap_err().code(), 400, "{query}");
        }
    }
}

//! What can go wrong with a request: the server said no, or nothing was heard of it.

use std::fmt;
use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered, and the answer is no.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// No connection could be opened.
    #[error("cannot connect to the apiserver")]
    Dial(#[source] io::Error),
    /// The connection broke. Whether the request took effect is not known, unless it is a read.
    #[error("the connection to the apiserver broke")]
    Broken(#[source] hyper::Error),
    /// The WebSocket broke.
    #[error("the WebSocket to the apiserver broke")]
    WebSocket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// No answer in time. Whether the request took effect is not known, unless it is a read.
    #[error("no answer from the apiserver within {0:?}")]
    Deadline(Duration),
    /// The answer cannot be read as what was asked for.
    #[error("the apiserver's answer cannot be read")]
    Decode(#[source] serde_json::Error),
    /// What was to be sent cannot be written as JSON.
    #[error("the request cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// The answer is over a bound.
    #[error("the apiserver's answer is over {limit} {what}")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// The path or a header is not one.
    #[error("not a valid request")]
    Request(#[source] http::Error),
}

/// The server's answer when it says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What it said.
    pub status: Status,
    /// When it asked to be tried again.
    pub retry_after: Option<Duration>,
}

/// The API's `Status` object. Every field may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// One CamelCase word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// What it is about.
    pub details: Option<Details>,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// One for each field that is wrong.
    pub causes: Vec<Cause>,
    /// When to try again.
    pub retry_after_seconds: Option<u64>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// One CamelCase word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The field's path.
    pub field: String,
}

impl Error {
    /// The server's own answer, if there was one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    fn is(&self, code: u16) -> bool {
        self.api().is_some_and(|error| error.status.code == code)
    }

    /// There is no such object.
    pub fn is_not_found(&self) -> bool {
        self.is(404)
    }

    /// The object was written by someone else since it was read.
    pub fn is_conflict(&self) -> bool {
        self.is(409) && !self.is_already_exists()
    }

    /// An object of this name exists.
    pub fn is_already_exists(&self) -> bool {
        self.is(409) && self.api().is_some_and(|error| error.status.reason == "AlreadyExists")
    }

    /// The revision is no longer kept: list again.
    pub fn is_gone(&self) -> bool {
        self.is(410)
    }

    /// The credential is not accepted.
    pub fn is_unauthorized(&self) -> bool {
        self.is(401)
    }

    /// The object is not valid.
    pub fn is_invalid(&self) -> bool {
        self.is(422)
    }

    /// Whether the same request may go through later without a change. Says nothing about whether it already did.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => matches!(error.status.code, 408 | 429 | 500 | 502 | 503 | 504 | 507),
            Self::Dial(_) | Self::Broken(_) | Self::WebSocket(_) | Self::Deadline(_) => true,
            Self::Decode(_) | Self::Encode(_) | Self::TooLarge { .. } | Self::Request(_) => false,
        }
    }

    /// When the server asked to be tried again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.api().and_then(|error| error.retry_after)
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl ApiError {
    /// The answer's error, whatever its body: a proxy in between may have answered with a page.
    pub(crate) fn from_answer(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut status: Status = serde_json::from_slice(body).unwrap_or_default();
        status.code = code.as_u16();
        if status.reason.is_empty() {
            status.reason = code.canonical_reason().unwrap_or("Unknown").replace(' ', "");
        }
        if status.message.is_empty() {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            status.message = format!("the apiserver answered {code}: {}", text.trim());
        }
        let header =
            headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let details = status.details.as_ref().and_then(|details| details.retry_after_seconds);
        Self { status, retry_after: header.or(details).map(Duration::from_secs) }
    }

    /// The error that an ERROR event of a watch carries.
    pub(crate) fn from_status(status: Status) -> Self {
        let retry_after =
            status.details.as_ref().and_then(|details| details.retry_after_seconds).map(Duration::from_secs);
        Self { status, retry_after }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.status.message)
    }
}

impl std::error::Error for ApiError {}

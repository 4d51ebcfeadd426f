//! Failures as clients see them: an HTTP code and a `metav1.Status`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use drover_types::status::{Status, StatusCause, StatusDetails};
use drover_types::{FieldError, Kind};
use http::{HeaderValue, StatusCode, header};

/// A refused or failed request. Boxed, for it rides in the error side of every result here.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ApiError(pub(crate) Box<Status>);

/// `timers.drover.dev`, or `secrets`.
pub(crate) fn qualified(kind: Kind) -> String {
    let names = kind.names();
    match names.group {
        "" => names.plural.to_owned(),
        group => format!("{}.{group}", names.plural),
    }
}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Status::failure(code, reason, message)))
    }

    fn about(kind: Kind, name: &str, code: u16, reason: &str, message: String) -> Self {
        let names = kind.names();
        let mut error = Self::new(code, reason, message);
        error.0.details = Some(StatusDetails {
            name: name.into(),
            group: names.group.into(),
            kind: names.plural.into(),
            ..StatusDetails::default()
        });
        error
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn token_expired(expired: jiff::Timestamp) -> Self {
        Self::new(401, "Unauthorized", format!("Unauthorized: the token expired at {expired:.0}"))
    }

    pub(crate) fn forbidden(kind: Kind, name: &str, detail: &str) -> Self {
        let about = qualified(kind);
        Self::about(kind, name, 403, "Forbidden", format!("{about} \"{name}\" is forbidden: {detail}"))
    }

    pub(crate) fn not_found(kind: Kind, name: &str) -> Self {
        Self::about(kind, name, 404, "NotFound", format!("{} \"{name}\" not found", qualified(kind)))
    }

    pub(crate) fn already_exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(kind));
        Self::about(kind, name, 409, "AlreadyExists", message)
    }

    pub(crate) fn conflict(kind: Kind, name: &str) -> Self {
        Self::conflict_because(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn conflict_because(kind: Kind, name: &str, detail: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {detail}", qualified(kind));
        Self::about(kind, name, 409, "Conflict", message)
    }

    pub(crate) fn invalid(kind: Kind, name: &str, errors: &[FieldError]) -> Self {
        let names = kind.names();
        Self(Box::new(Status::invalid(names.group, names.kind, name, errors)))
    }

    /// As [`ApiError::invalid`], of what is not of a kind of its own.
    pub(crate) fn invalid_as(
        (group, _, kind): (&str, &str, &str),
        name: &str,
        errors: &[FieldError],
    ) -> Self {
        Self(Box::new(Status::invalid(group, kind, name, errors)))
    }

    /// Something that is well made and cannot be done.
    pub(crate) fn unprocessable(kind: Kind, name: &str, detail: &str) -> Self {
        Self::about(
            kind,
            name,
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {detail}"),
        )
    }

    /// An apply would change what others own.
    pub(crate) fn apply_conflict(message: String, causes: Vec<StatusCause>) -> Self {
        let mut error = Self::new(409, "Conflict", message);
        error.0.details = Some(StatusDetails { causes, ..StatusDetails::default() });
        error
    }

    pub(crate) fn method_not_allowed(method: &http::Method) -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            format!("the server does not allow {method} on the requested resource"),
        )
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/json;stream=watch",
        )
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(429, "TooManyRequests", message).retry_after(1)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).retry_after(1)
    }

    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// `next` goes on from the same place with a newer state.
    pub(crate) fn expired_continue(next: String) -> Self {
        let mut error = Self::new(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list.",
        );
        error.0.metadata.insert("continue".into(), next.into());
        error
    }

    pub(crate) fn from_the_future(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut error = Self::new(504, "Timeout", message.clone());
        error.0.details = Some(StatusDetails {
            causes: vec![StatusCause {
                reason: "ResourceVersionTooLarge".into(),
                message,
                field: String::new(),
            }],
            retry_after_seconds: 1,
            ..StatusDetails::default()
        });
        error
    }

    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = format!("Internal error occurred: {error}");
        let mut source = error.source();
        while let Some(inner) = source {
            message.push_str(&format!(": {inner}"));
            source = inner.source();
        }
        tracing::error!(error = %message, "a request failed inside the server");
        Self::new(500, "InternalError", message)
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.0.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// The HTTP code.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The Status that clients get.
    pub fn status(&self) -> &Status {
        &self.0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.0.details.as_ref().map_or(0, |d| d.retry_after_seconds);
        let mut response = (code, Json(&*self.0)).into_response();
        if retry > 0 {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry));
        }
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

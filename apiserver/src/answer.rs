//! Answers: JSON, warnings, and documents that clients keep and ask for again by their tag.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::objects::to_bytes;

pub(crate) fn json_answer(code: StatusCode, body: impl Into<Body>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (code, kind, body.into()).into_response()
}

/// An object, with warnings as headers (`299`, RFC 7234 section 5.5).
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

pub(crate) fn unknown_path() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// A document that is the same for everybody until the next version of the server.
#[derive(Debug)]
pub(crate) struct Document {
    content_type: &'static str,
    body: Bytes,
    tag: String,
}

impl Document {
    pub(crate) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let tag = Sha256::digest(&body).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { content_type, body, tag }
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self::new("application/json", to_bytes(value))
    }

    /// What changes exactly when the document does: hexadecimal.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The document, or 304 for a client that has it. `for_ever` if its address names its content.
    pub(crate) fn answer(&self, headers: &HeaderMap, for_ever: bool) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let known = known.flat_map(|value| value.split(',')).any(|given| {
            let given = given.trim();
            given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
        });
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
            (kind, self.body.clone()).into_response()
        };
        let held = response.headers_mut();
        // A tag is hexadecimal in quotes, which any header may hold.
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            held.insert(header::ETAG, tag);
        }
        held.insert(header::VARY, HeaderValue::from_static("Accept"));
        let keep = if for_ever { "public, immutable, max-age=31536000" } else { "no-cache, private" };
        held.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_that_has_a_document_is_not_sent_it_again() {
        let document = Document::json(&json!({"a": 1}));
        let first = document.answer(&HeaderMap::new(), false);
        assert_eq!(first.status(), 200);
        let tag = first.headers()[header::ETAG].clone();
        for (given, code) in [(tag.to_str().unwrap(), 304), ("\"x\", *", 304), ("\"x\"", 200), ("x", 200)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(given).unwrap());
            assert_eq!(document.answer(&headers, false).status(), code, "{given}");
        }
        assert_ne!(Document::json(&json!({"a": 2})).tag(), document.tag());
    }
}

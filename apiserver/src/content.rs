//! The body of a request by its Content-Type.

use drover_types::Kind;
use http::{HeaderMap, header};

use crate::error::ApiError;
use crate::json::{self, Decoded};

/// What an object may be written as.
pub(crate) const OBJECT_TYPES: [&str; 1] = ["application/json"];

/// What a change of an object may be written as.
pub(crate) fn patch_types(_kind: Kind) -> &'static [&'static str] {
    &["application/merge-patch+json"]
}

/// The Content-Type without its parameters; empty if there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// An object in a body; absent Content-Type is JSON too.
pub(crate) fn decode_body(headers: &HeaderMap, bytes: &[u8]) -> Result<Decoded, ApiError> {
    match media_type(headers) {
        "" | "application/json" => json::decode(bytes),
        _ => Err(ApiError::unsupported_media_type("application/json")),
    }
}

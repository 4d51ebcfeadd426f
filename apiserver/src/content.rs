//! The body of a request by its Content-Type.

use drover_types::{GROUP, Kind};
use http::{HeaderMap, header};

use crate::error::ApiError;
use crate::json::{self, Decoded};
use crate::protobuf;

/// What an object may be written as.
pub(crate) const OBJECT_TYPES: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// Server-side apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// What clients are told that a change of an object may be written as. They go by it: for a kind of ours, kubectl must
/// not be led to strategic merge patches, whose lists it could not know; from others they are taken all the same.
pub(crate) fn patch_types(kind: Kind) -> &'static [&'static str] {
    const ALL: [&str; 4] = [
        "application/json-patch+json",
        "application/merge-patch+json",
        APPLY,
        "application/strategic-merge-patch+json",
    ];
    if kind.names().group == GROUP { &ALL[..3] } else { &ALL }
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
        "application/yaml" => decode_yaml(bytes),
        protobuf::MEDIA_TYPE => Ok(Decoded { value: protobuf::decode(bytes)?, duplicates: Vec::new() }),
        _ => Err(ApiError::unsupported_media_type(&OBJECT_TYPES.join(", "))),
    }
}

/// A configuration to be applied: many clients send JSON, which YAML is not quite.
pub(crate) fn decode_json_or_yaml(bytes: &[u8]) -> Result<Decoded, ApiError> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => json::decode(bytes).or_else(|error| decode_yaml(bytes).map_err(|_| error)),
        _ => decode_yaml(bytes),
    }
}

/// One document. A key that stands twice is refused whatever `fieldValidation` says.
fn decode_yaml(bytes: &[u8]) -> Result<Decoded, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::bad_request("the body is not valid YAML: it is not UTF-8"))?;
    let value = drover_manifest::decode_value("body", text, &drover_manifest::Limits::default())
        .map_err(|diagnostic| ApiError::bad_request(format!("the body is not valid YAML: {diagnostic}")))?;
    Ok(Decoded { value, duplicates: Vec::new() })
}

//! The body of a request by its Content-Type.

use drover_types::Kind;
use http::{HeaderMap, header};

use crate::error::ApiError;
use crate::json::{self, Decoded};
use crate::protobuf;

/// What an object may be written as.
pub(crate) const OBJECT_TYPES: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

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
        "application/yaml" => decode_yaml(bytes),
        protobuf::MEDIA_TYPE => Ok(Decoded { value: protobuf::decode(bytes)?, duplicates: Vec::new() }),
        _ => Err(ApiError::unsupported_media_type(&OBJECT_TYPES.join(", "))),
    }
}

/// One document. A key that stands twice is refused whatever `fieldValidation` says.
pub(crate) fn decode_yaml(bytes: &[u8]) -> Result<Decoded, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::bad_request("the body is not valid YAML: it is not UTF-8"))?;
    let value = drover_manifest::decode_value("body", text, &drover_manifest::Limits::default())
        .map_err(|diagnostic| ApiError::bad_request(format!("the body is not valid YAML: {diagnostic}")))?;
    Ok(Decoded { value, duplicates: Vec::new() })
}

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

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn decode(type_: &'static str, body: &[u8]) -> Result<serde_json::Value, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(type_));
        decode_body(&headers, body).map(|decoded| decoded.value).map_err(|error| error.code())
    }

    #[test]
    fn a_body_is_read_as_its_type_says() {
        assert_eq!(decode("application/yaml; charset=utf-8", b"a: [1, x]\n"), Ok(json!({"a": [1, "x"]})));
        assert_eq!(decode("application/json", b"{\"a\": 1}"), Ok(json!({"a": 1})));
        assert_eq!(decode_body(&HeaderMap::new(), b"{}").map(|it| it.value).ok(), Some(json!({})));
        for (type_, body, code) in [
            ("application/yaml", b"a: 1\na: 2\n".as_slice(), 400),
            ("application/yaml", b"\xff", 400),
            ("application/yaml", b"a: &x [1]\nb: *x\n---\nc: 1\n", 400),
            ("application/xml", b"<a/>", 415),
            ("application/vnd.kubernetes.protobuf", b"{}", 400),
        ] {
            assert_eq!(decode(type_, body), Err(code), "{type_}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = level - 1;
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", "));
        }
        assert_eq!(decode("application/yaml", bomb.as_bytes()), Err(400));
    }

    #[test]
    fn a_configuration_is_json_or_yaml() {
        for body in ["{\"a\": 1}", " \n{a: 1}", "a: 1"] {
            assert_eq!(
                decode_json_or_yaml(body.as_bytes()).map(|it| it.value).ok(),
                Some(json!({"a": 1})),
                "{body}"
            );
        }
        // Members that stand twice are told, not dropped.
        assert_eq!(decode_json_or_yaml(br#"{"a":1,"a":2}"#).ok().unwrap().duplicates, ["a"]);
    }
}

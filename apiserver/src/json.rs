//! Request bodies: JSON in which no member stands twice.

use drover_types::duplicate_keys::duplicate_keys;
use serde_json::Value;

use crate::error::ApiError;

/// A body, and the members that stand twice in it (the last one counts, as `strict decoding` reports them).
pub(crate) struct Decoded {
    pub(crate) value: Value,
    pub(crate) duplicates: Vec<String>,
}

/// Decodes a body. Nesting is bounded by serde_json (128), values by `duplicate_keys`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, ApiError> {
    let wrong = |error| ApiError::bad_request(format!("the body is not valid JSON: {error}"));
    // This comes first, for it refuses what would be too much as a tree.
    let twice = duplicate_keys(bytes).map_err(wrong)?;
    let value = serde_json::from_slice(bytes).map_err(wrong)?;
    Ok(Decoded { value, duplicates: twice.iter().map(ToString::to_string).collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_that_stands_twice_is_named_by_its_path() {
        let decoded = decode(br#"{"spec":{"a":1,"b":[{"c":1,"c":2}],"a":3}}"#).unwrap();
        assert_eq!(decoded.value, json!({"spec": {"a": 3, "b": [{"c": 2}]}}));
        assert_eq!(decoded.duplicates, ["spec.b[0].c", "spec.a"]);
    }

    #[test]
    fn numbers_stay_exact_and_rubbish_is_refused() {
        let decoded = decode(br#"{"n":9223372036854775807,"f":1.5,"u":18446744073709551615}"#).unwrap();
        assert_eq!(decoded.value, json!({"n": i64::MAX, "f": 1.5, "u": u64::MAX}));
        assert_eq!(decode(b"{} x").err().unwrap().code(), 400);
        assert_eq!(decode(&[b'['; 100_000]).err().unwrap().code(), 400);
    }
}

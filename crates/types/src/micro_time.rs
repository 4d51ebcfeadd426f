//! `metav1.MicroTime`: a time with six digits after the second, for `#[serde(with = "micro_time")]`. Go's clients read it
//! with exactly six; a time that ends in zeros would be an error to them without.

use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer, Serializer};

#[expect(clippy::ref_option, reason = "the signature serde wants")]
pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&format_args!("{time:.6}")),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use crate::kinds::core::LeaseSpec;

    #[test]
    fn a_time_in_microseconds_always_has_six_digits() {
        for (given, kept) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
            ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500000Z"),
            ("2026-01-01T02:00:00.265190+02:00", "2026-01-01T00:00:00.265190Z"),
            ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456Z"),
        ] {
            let read: LeaseSpec = serde_json::from_value(serde_json::json!({"renewTime": given})).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), serde_json::json!({"renewTime": kept}));
        }
        let none: LeaseSpec = serde_json::from_str("{\"renewTime\":null}").unwrap();
        assert_eq!(serde_json::to_string(&none).unwrap(), "{}");
    }
}

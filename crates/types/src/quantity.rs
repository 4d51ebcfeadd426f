//! A size in bytes as Kubernetes writes it: `64Ki`, `1Gi`, `500M`, `1024`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub u64);

/// The text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a size; write a whole number with Ki, Mi, Gi, Ti, k, M, G, T or nothing after it")]
pub struct QuantityError;

const SUFFIXES: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1000),
];

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (digits, scale) = SUFFIXES
            .iter()
            .find_map(|(suffix, scale)| text.strip_suffix(suffix).map(|digits| (digits, *scale)))
            .unwrap_or((text, 1));
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(QuantityError);
        }
        let number: u64 = digits.parse().map_err(|_| QuantityError)?;
        number.checked_mul(scale).map(Self).ok_or(QuantityError)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary =
            SUFFIXES[..4].iter().find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        match binary {
            Some((suffix, scale)) => write!(f, "{}{suffix}", self.0 / scale),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(d)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => {
                text.parse().map_err(|e| serde::de::Error::custom(format_args!("{text:?} {e}")))
            }
        }
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$",
            "minimum": 0,
            "description": "A size in bytes: 1024, 64Ki, 1Gi",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes: u64) {
            prop_assert_eq!(Quantity(bytes).to_string().parse(), Ok(Quantity(bytes)));
        }
    }

    #[test]
    fn a_size_that_overflows_or_has_no_number_is_refused() {
        for bad in ["", "Ki", "-1", "1.5Gi", "99999999999Ti", "1 Ki", "1KB"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }
}

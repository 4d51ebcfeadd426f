//! A length of time as operators write it: `90s`, `1h30m`, `7d`, `250ms`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A non-negative length of time, kept in whole milliseconds. At most 100 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was written.
    #[error("is empty; write a number and a unit, as in 90s, 1h30m or 7d")]
    Empty,
    /// A number without a unit.
    #[error("has no unit; write {0}s, {0}m or {0}h")]
    NoUnit(u64),
    /// Not of the form number, unit, number, unit, ...
    #[error("is not a duration; write a number and a unit (ms, s, m, h, d), as in 90s, 1h30m or 7d")]
    Malformed,
    /// Longer than a century.
    #[error("is longer than 100 years")]
    TooLong,
}

const LIMIT_MS: u64 = 100 * 365 * 86_400_000;
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// So many seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1000)
    }

    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The same length for the standard library.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// The same length for calendar arithmetic.
    pub fn to_signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_millis(i64::try_from(self.0).unwrap_or(i64::MAX))
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.is_empty() {
            return Err(DurationError::Empty);
        }
        let (mut rest, mut total) = (text, 0_u64);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(DurationError::Malformed);
            }
            let number: u64 = rest[..digits].parse().map_err(|_| DurationError::TooLong)?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            if letters == 0 {
                let bare = rest.is_empty() && total == 0;
                return Err(if bare { DurationError::NoUnit(number) } else { DurationError::Malformed });
            }
            let (_, scale) =
                UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or(DurationError::Malformed)?;
            rest = &rest[letters..];
            total = number
                .checked_mul(*scale)
                .and_then(|ms| total.checked_add(ms))
                .filter(|ms| *ms <= LIMIT_MS)
                .ok_or(DurationError::TooLong)?;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, scale) in UNITS {
            if rest >= scale {
                write!(f, "{}{name}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration, as 90s, 1h30m or 7d")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(|e| E::custom(format_args!("{text:?} {e}")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Duration, E> {
        Err(E::custom(DurationError::NoUnit(number)))
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "description": "A length of time: 250ms, 90s, 1h30m, 7d",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in 0..LIMIT_MS) {
            prop_assert_eq!(Duration(ms).to_string().parse(), Ok(Duration(ms)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Duration>();
        }
    }

    #[test]
    fn a_bare_number_is_told_its_unit_is_missing() {
        assert_eq!("90".parse::<Duration>(), Err(DurationError::NoUnit(90)));
        for bad in ["", "s", "-1s", "1.5h", "1w", "1h30", "99999999999999999999s", "40000d"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }
}

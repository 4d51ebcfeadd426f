//! Finds keys that stand twice in a JSON object, which a map would silently merge.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::FieldPath;

/// At most so many are reported; the rest of a hostile body is only read.
const LIMIT: usize = 20;

/// The paths of the keys that stand twice, at most 20. Reads the text once, without building a tree.
pub fn duplicate_keys(json: &[u8]) -> Result<Vec<FieldPath>, serde_json::Error> {
    let mut found = Vec::new();
    let mut de = serde_json::Deserializer::from_slice(json);
    Walk { at: FieldPath::root(), found: &mut found }.deserialize(&mut de)?;
    de.end()?;
    Ok(found)
}

struct Walk<'a> {
    at: FieldPath,
    found: &'a mut Vec<FieldPath>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = self.at.child(&key);
            if !seen.insert(key) && self.found.len() < LIMIT {
                self.found.push(at.clone());
            }
            map.next_value_seed(Walk { at, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut i = 0;
        while seq.next_element_seed(Walk { at: self.at.index(i), found: &mut *self.found })?.is_some() {
            i += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_named_by_its_path() {
        let found = duplicate_keys(br#"{"a":{"b":1,"b":2},"c":[{"d":1},{"d":1,"d":null}],"e":"x"}"#).unwrap();
        assert_eq!(found, ["a.b".into(), "c[1].d".into()]);
        assert!(duplicate_keys(b"{\"a\":1").is_err());
    }
}

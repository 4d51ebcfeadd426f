//! Finds keys that stand twice in a JSON object, which a map would silently merge, and refuses JSON of more values than
//! any object has: each costs many times its text in memory once it is a tree.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::FieldPath;

/// At most so many are reported; the rest of a hostile body is only read.
const LIMIT: usize = 20;
/// Values of all sorts in one text, at most.
const MAX_VALUES: usize = 100_000;

/// The paths of the keys that stand twice, at most 20. Reads the text once, without building a tree. More than 100,000
/// values are an error.
pub fn duplicate_keys(json: &[u8]) -> Result<Vec<FieldPath>, serde_json::Error> {
    let mut found = Found { paths: Vec::new(), values: 0 };
    let mut de = serde_json::Deserializer::from_slice(json);
    Walk { at: &At::Root, found: &mut found }.deserialize(&mut de)?;
    de.end()?;
    Ok(found.paths)
}

struct Found {
    paths: Vec<FieldPath>,
    values: usize,
}

/// Where a value is. Written out only for what is found: a long key has many members, and each would copy it.
enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> FieldPath {
        match self {
            At::Root => FieldPath::root(),
            At::Key(above, key) => above.path().child(key),
            At::Index(above, index) => above.path().index(*index),
        }
    }
}

struct Walk<'a> {
    at: &'a At<'a>,
    found: &'a mut Found,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        self.found.values += 1;
        if self.found.values > MAX_VALUES {
            return Err(D::Error::custom(format_args!("more than {MAX_VALUES} values")));
        }
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
            let at = At::Key(self.at, &key);
            if seen.contains(&key) && self.found.paths.len() < LIMIT {
                self.found.paths.push(at.path());
            }
            map.next_value_seed(Walk { at: &at, found: &mut *self.found })?;
            seen.insert(key);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut i = 0;
        while seq.next_element_seed(Walk { at: &At::Index(self.at, i), found: &mut *self.found })?.is_some() {
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

    #[test]
    fn more_values_than_any_object_has_are_refused() {
        let list = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(duplicate_keys(list(MAX_VALUES - 1).as_bytes()).is_ok());
        assert!(duplicate_keys(list(MAX_VALUES).as_bytes()).is_err());
    }

    #[test]
    fn a_long_key_is_not_copied_for_each_of_its_members() {
        // Were it, this would write some fifty gigabytes.
        let members: Vec<String> = (0..50_000).map(|i| format!("\"{i}\":0")).collect();
        let json = format!("{{\"{}\":{{{}}}}}", "k".repeat(1 << 20), members.join(","));
        assert_eq!(duplicate_keys(json.as_bytes()).unwrap(), []);
    }
}

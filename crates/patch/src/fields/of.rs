//! The fields of an object, as its shape has them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Element, FieldSet, Node, Path};
use crate::shape::{At, Key, View};
use crate::value::Scalar;

/// Part of a configuration that has no field paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Malformed {
    /// The list.
    pub path: Path,
    /// What is wrong with it.
    pub reason: MalformedReason,
}

/// Why the items of a list cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedReason {
    /// A list by key has an item that is no object.
    #[error("item {0} is not an object, and the list is a map by key")]
    NotAnObject(usize),
    /// A list by key has an item without any of the key fields.
    #[error("item {0} has none of the key fields of the list")]
    NoKey(usize),
    /// A key field, or an item of a set, is an object or a list.
    #[error("item {0} is told from others by a value that is not a scalar")]
    NotAScalar(usize),
    /// Two items are the same.
    #[error("item {0} is there twice: {1}")]
    Duplicate(usize, Element),
}

/// What tells the items of a list apart: their values, or the key fields. Duplicates are the caller's.
pub(crate) fn elements(list: &[Value], keys: Option<&[Key]>) -> Result<Vec<Element>, MalformedReason> {
    let element = |(index, item): (usize, &Value)| match keys {
        None => Scalar::new(item.clone()).map(Element::Value).ok_or(MalformedReason::NotAScalar(index)),
        Some(keys) => key_of(item, keys, index),
    };
    list.iter().enumerate().map(element).collect()
}

/// What tells one item of a list by key from the others.
pub(crate) fn key_of(item: &Value, keys: &[Key], index: usize) -> Result<Element, MalformedReason> {
    let members = item.as_object().ok_or(MalformedReason::NotAnObject(index))?;
    let mut found = Vec::with_capacity(keys.len());
    let given = keys.iter().any(|key| members.get(&key.name).is_some_and(|value| !value.is_null()));
    for key in keys {
        let value = members.get(&key.name).filter(|value| !value.is_null()).or(key.default.as_ref());
        if let Some(value) = value {
            let scalar = Scalar::new(value.clone()).ok_or(MalformedReason::NotAScalar(index))?;
            found.push((key.name.clone(), scalar));
        }
    }
    // Defaults alone tell nothing apart, unless there is one for each.
    if found.is_empty() || (!given && found.len() < keys.len()) {
        return Err(MalformedReason::NoKey(index));
    }
    found.sort();
    Ok(Element::Key(found))
}

/// The fields that a configuration claims: every scalar, atomic value, null and empty map; every item of a list by key
/// or of a set; the keys of free-form maps. A declared member that only leads to others is not one of them.
pub(crate) fn of(config: &Value, at: At<'_>) -> Result<FieldSet, Malformed> {
    Walk { mode: Mode::Claims, path: Vec::new() }.below(config, at)
}

/// Every path below a value, those of declared members that lead to others too: what comes and goes with it. A list
/// that cannot be told apart counts as one value.
pub(crate) fn all(value: &Value, at: At<'_>) -> FieldSet {
    Walk { mode: Mode::All, path: Vec::new() }.below(value, at).unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Claims,
    All,
}

struct Walk {
    mode: Mode,
    path: Vec<Element>,
}

impl Walk {
    fn below(&mut self, value: &Value, at: At<'_>) -> Result<FieldSet, Malformed> {
        let mut set = FieldSet::new();
        match at.view(value) {
            View::Leaf => {}
            View::Map(members) => {
                for (name, value) in members {
                    let child = at.member(name);
                    let leaf = value.is_null()
                        || value.as_object().is_some_and(Map::is_empty)
                        || matches!(child.shape.view(value), View::Leaf);
                    let member = leaf || !child.declared || self.mode == Mode::All;
                    let element = Element::field(name);
                    let below = self.step(&element, value, child.shape)?;
                    set.put(element, Node { member, below });
                }
            }
            View::List(list, kind) => match elements(list, kind.keys) {
                Ok(found) => {
                    self.refuse_duplicates(&found)?;
                    for (element, item) in found.into_iter().zip(list) {
                        let below = self.step(&element, item, kind.item)?;
                        // Two of them in what is stored are one path.
                        set.put(element, Node { member: true, below });
                    }
                }
                Err(reason) if self.mode == Mode::Claims => return Err(self.malformed(reason)),
                Err(_) => {}
            },
        }
        Ok(set)
    }

    fn step(&mut self, element: &Element, value: &Value, at: At<'_>) -> Result<FieldSet, Malformed> {
        self.path.push(element.clone());
        let below = self.below(value, at)?;
        self.path.pop();
        Ok(below)
    }

    fn refuse_duplicates(&self, found: &[Element]) -> Result<(), Malformed> {
        if self.mode == Mode::All {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        match found.iter().enumerate().find(|(_, element)| !seen.insert(*element)) {
            Some((index, element)) => Err(self.malformed(MalformedReason::Duplicate(index, element.clone()))),
            None => Ok(()),
        }
    }

    fn malformed(&self, reason: MalformedReason) -> Malformed {
        Malformed { path: Path(self.path.clone()), reason }
    }
}

//! What goes when a manager no longer lists it.

use serde_json::{Map, Value};

use crate::fields::{Element, FieldSet, elements};
use crate::shape::{At, Key, View};

/// Removes what is in `last`, the fields that a manager listed before, unless it is in or leads to something in `kept`,
/// which anybody owns now. What was in neither stays, save inside a declared object that goes as a whole: the defaults
/// of a block go with the block.
pub(crate) fn prune(value: Value, at: At<'_>, last: &FieldSet, kept: &FieldSet) -> Value {
    below(value, at, (last, kept), &[])
}

fn below(value: Value, at: At<'_>, (last, kept): (&FieldSet, &FieldSet), keys: &[Key]) -> Value {
    if last.is_empty() {
        return value;
    }
    let listed = match at.view(&value) {
        View::Leaf => return value,
        View::Map(_) => None,
        View::List(items, kind) => match elements(items, kind.keys) {
            Ok(found) => Some((found, kind)),
            Err(_) => return value,
        },
    };
    match (value, listed) {
        (Value::Object(members), _) => {
            let mut left = Map::new();
            for (name, member) in members {
                // What remains of an item by key is still told apart by its key.
                let is_key = keys.iter().any(|key| key.name == name);
                let child = at.member(&name);
                let element = Element::Field(name);
                let stays = if is_key {
                    Some(member)
                } else {
                    one(member, child.shape, (&element, child.declared, &[]), (last, kept))
                };
                if let (Element::Field(name), Some(member)) = (element, stays) {
                    left.insert(name, member);
                }
            }
            Value::Object(left)
        }
        (Value::Array(items), Some((found, kind))) => {
            let keys = kind.keys.unwrap_or_default();
            let items = items.into_iter().zip(found);
            let left = items.filter_map(|(item, e)| one(item, kind.item, (&e, false, keys), (last, kept)));
            Value::Array(left.collect())
        }
        (value, _) => value,
    }
}

/// What is left of one member or item.
fn one(
    value: Value,
    at: At<'_>,
    (element, declared, keys): (&Element, bool, &[Key]),
    (last, kept): (&FieldSet, &FieldSet),
) -> Option<Value> {
    let Some(was) = last.node(element) else { return Some(value) };
    if let Some(owned) = kept.node(element) {
        return Some(below(value, at, (&was.below, &owned.below), keys));
    }
    let one_value = matches!(at.view(&value), View::Leaf);
    if was.member && (one_value || !declared) {
        return None;
    }
    if one_value {
        return Some(value);
    }
    if declared && at.is_struct() {
        return None;
    }
    let left = below(value, at, (&was.below, &FieldSet::new()), keys);
    let empty = left.as_object().is_some_and(Map::is_empty) || left.as_array().is_some_and(Vec::is_empty);
    (!empty).then_some(left)
}

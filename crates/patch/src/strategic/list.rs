//! What a strategic merge patch does to a list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::directives::Directive;
use super::order::{self, Item};
use super::{StrategicError, StrategicReason, Trail, fresh};
use crate::fields::{Element, elements, key_of};
use crate::shape::{At, Key, ListPatch};
use crate::value::Worth;

/// Removes values.
pub(super) fn delete(items: &mut Vec<Value>, values: &[Value]) {
    let gone: BTreeSet<Worth<'_>> = values.iter().map(Worth).collect();
    items.retain(|item| !gone.contains(&Worth(item)));
}

pub(super) fn merge(
    old: Vec<Value>,
    patch: &[Value],
    (at, order): (At<'_>, Option<&[Value]>),
    trail: &mut Trail,
) -> Result<Vec<Value>, StrategicError> {
    match at.list_patch() {
        // Without items there is only an order, which means nothing here.
        ListPatch::Replace if patch.is_empty() && order.is_some() => Ok(old),
        ListPatch::Replace => match fresh(&Value::Array(patch.to_vec())) {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        },
        ListPatch::Values => values(old, patch, order).map_err(|reason| trail.error(reason)),
        ListPatch::Keys(keys) => Keyed { keys, item: at.item() }.merge(old, patch, order, trail),
    }
}

fn values(old: Vec<Value>, patch: &[Value], order: Option<&[Value]>) -> Result<Vec<Value>, StrategicReason> {
    let given = elements(patch, None)?;
    // What is there and no scalar is not touched.
    let mut items: Vec<Item> = old.into_iter().map(Item::of_value).collect();
    let held = order::places(&items);
    let mut seen: BTreeSet<Element> = items.iter().filter_map(|item| item.element.clone()).collect();
    for (element, value) in given.iter().zip(patch) {
        if seen.insert(element.clone()) {
            items.push(Item { element: Some(element.clone()), value: value.clone() });
        }
    }
    let wanted = match order {
        Some(order) => order::check(&given, elements(order, None)?)?,
        None => given,
    };
    Ok(order::sort(items, &wanted, &held))
}

/// A list by key.
struct Keyed<'a> {
    keys: &'a [Key],
    item: At<'a>,
}

impl Keyed<'_> {
    fn merge(
        &self,
        old: Vec<Value>,
        patch: &[Value],
        order: Option<&[Value]>,
        trail: &mut Trail,
    ) -> Result<Vec<Value>, StrategicError> {
        let (mut plain, mut gone, mut replaced) = (Vec::new(), BTreeSet::new(), false);
        for (index, item) in patch.iter().enumerate() {
            let directive = item.as_object().map_or(Ok(None), Directive::of);
            match directive.map_err(|reason| trail.error(reason))? {
                // It says so of the list, and is no item.
                Some(Directive::Replace) => replaced = true,
                Some(Directive::Delete) => {
                    gone.insert(self.key(item, index, trail)?);
                }
                Some(Directive::Merge) | None => plain.push((index, self.key(item, index, trail)?, item)),
            }
        }
        let old = if replaced { Vec::new() } else { old };
        let mut items: Vec<Item> = old
            .into_iter()
            .map(|value| Item { element: key_of(&value, self.keys, 0).ok(), value })
            .filter(|item| item.element.as_ref().is_none_or(|element| !gone.contains(element)))
            .collect();
        let held = order::places(&items);
        let mut at: BTreeMap<Element, usize> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(element) = &item.element {
                at.entry(element.clone()).or_insert(index);
            }
        }
        let mut given = Vec::with_capacity(plain.len());
        for (index, element, item) in plain {
            let Value::Object(members) = item else { continue };
            let place = at.get(&element).copied();
            let before = match place.map(|place| std::mem::take(&mut items[place].value)) {
                Some(Value::Object(before)) => before,
                _ => Map::new(),
            };
            let merged = trail
                .within(format!("[{index}]"), |trail| super::merge(before, members, self.item, trail))?;
            let value = Value::Object(merged);
            match place {
                Some(place) => items[place].value = value,
                None => {
                    at.insert(element.clone(), items.len());
                    items.push(Item { element: Some(element.clone()), value });
                }
            }
            given.push(element);
        }
        let wanted = match order {
            Some(order) => {
                let keys = elements(order, Some(self.keys)).map_err(|reason| trail.error(reason))?;
                order::check(&given, keys).map_err(|reason| trail.error(reason))?
            }
            None => given,
        };
        Ok(order::sort(items, &wanted, &held))
    }

    fn key(&self, item: &Value, index: usize, trail: &Trail) -> Result<Element, StrategicError> {
        key_of(item, self.keys, index).map_err(|reason| trail.error(reason))
    }
}

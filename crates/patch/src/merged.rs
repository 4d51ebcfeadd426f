//! A stored object with a configuration laid over it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::fields::{Element, elements};
use crate::shape::{At, ListView, View};

/// Lays `config` over `live`: objects and lists that are taken apart are merged, all else is the configuration's. An
/// explicit null empties a value, not an object or a list that is taken apart. Items of lists come in the order of the
/// configuration; those that only the stored object has keep their place among them.
pub(crate) fn merge(live: &Value, config: &Value, at: At<'_>) -> Value {
    let kept = |live| match at.view(live) {
        View::Leaf => false,
        View::Map(members) => !members.is_empty(),
        View::List(items, _) => !items.is_empty(),
    };
    match (at.view(live), at.view(config)) {
        _ if config.is_null() && kept(live) => live.clone(),
        (View::Map(live), View::Map(config)) => Value::Object(merge_maps(live, config, at)),
        (View::List(live, kind), View::List(config, _)) => {
            match (elements(live, kind.keys), elements(config, kind.keys)) {
                (Ok(held), Ok(given)) => {
                    Value::Array(Lists { live, held, config, given, item: kind }.merge())
                }
                // What is stored cannot be told apart.
                _ => Value::Array(config.to_vec()),
            }
        }
        _ => config.clone(),
    }
}

fn merge_maps(live: &Map<String, Value>, config: &Map<String, Value>, at: At<'_>) -> Map<String, Value> {
    let mut merged = live.clone();
    for (name, value) in config {
        let value = match live.get(name) {
            Some(held) => merge(held, value, at.member(name).shape),
            None => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    merged
}

struct Lists<'a> {
    live: &'a [Value],
    held: Vec<Element>,
    config: &'a [Value],
    given: Vec<Element>,
    item: ListView<'a>,
}

impl Lists<'_> {
    fn merge(&self) -> Vec<Value> {
        // Of what is stored twice, the configuration's item takes the place of all.
        let mut places: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
        for (element, item) in self.held.iter().zip(self.live) {
            places.entry(element).and_modify(|place| *place = None).or_insert(Some(item));
        }
        let given: BTreeSet<&Element> = self.given.iter().collect();
        let mut placed: BTreeSet<&Element> = BTreeSet::new();
        let mut shared = self.given.iter().filter(|element| places.contains_key(element));
        let mut next = shared.next();
        let (mut l, mut c) = (0, 0);
        let mut merged = Vec::with_capacity(self.live.len() + self.config.len());
        while l < self.held.len() || c < self.given.len() {
            if let (Some(held), Some(wanted)) = (self.held.get(l), self.given.get(c))
                && held != wanted
                && given.contains(held)
                && next.is_some_and(|next| next != held)
            {
                // Its turn comes where the configuration has it.
                l += 1;
                continue;
            }
            if let Some(held) = self.held.get(l)
                && self.given.get(c) != Some(held)
            {
                if !given.contains(held) {
                    merged.push(self.live[l].clone());
                    l += 1;
                    continue;
                }
                if placed.contains(held) {
                    l += 1;
                }
            }
            if let Some(wanted) = self.given.get(c) {
                if self.held.get(l) == Some(wanted) {
                    l += 1;
                }
                placed.insert(wanted);
                let item = &self.config[c];
                merged.push(match places.get(wanted) {
                    Some(Some(held)) => merge(held, item, self.item.item),
                    Some(None) | None => item.clone(),
                });
                if next == Some(wanted) {
                    next = shared.next();
                }
                c += 1;
            }
        }
        merged
    }
}

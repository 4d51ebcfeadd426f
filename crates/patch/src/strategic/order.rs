//! The order of the items of a merged list.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use serde_json::Value;

use super::StrategicReason;
use crate::fields::Element;
use crate::value::Scalar;

/// An item, and what tells it from others; none if nothing does.
pub(super) struct Item {
    pub(super) element: Option<Element>,
    pub(super) value: Value,
}

impl Item {
    /// An item of a list of scalars.
    pub(super) fn of_value(value: Value) -> Self {
        Self { element: Scalar::new(value.clone()).map(Element::Value), value }
    }
}

/// Where items stand.
pub(super) fn places(items: &[Item]) -> BTreeMap<Element, usize> {
    let mut places = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(element) = &item.element {
            places.entry(element.clone()).or_insert(index);
        }
    }
    places
}

/// The order that a directive gives, if the items of the patch keep to it.
pub(super) fn check(given: &[Element], order: Vec<Element>) -> Result<Vec<Element>, StrategicReason> {
    let mut left = order.iter();
    for (index, element) in given.iter().enumerate() {
        if !left.any(|next| next == element) {
            return Err(StrategicReason::Order(index));
        }
    }
    Ok(order)
}

/// Items in the order that is wanted. Those about which nothing is said stay before what they stood before.
pub(super) fn sort(items: Vec<Item>, wanted: &[Element], held: &BTreeMap<Element, usize>) -> Vec<Value> {
    let mut ranks: BTreeMap<&Element, usize> = BTreeMap::new();
    for (rank, element) in wanted.iter().enumerate() {
        ranks.entry(element).or_insert(rank);
    }
    let (mut ranked, mut others) = (Vec::new(), VecDeque::new());
    for (index, item) in items.into_iter().enumerate() {
        let rank = item.element.as_ref().and_then(|element| ranks.get(element));
        match rank {
            Some(rank) => ranked.push((*rank, item)),
            None => others.push_back((index, item)),
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut sorted = Vec::with_capacity(ranked.len() + others.len());
    for (_, item) in ranked {
        let stood = item.element.as_ref().and_then(|element| held.get(element)).copied();
        // One that is new has nothing before it but what is placed already.
        while let Some((_, other)) =
            others.pop_front_if(|(index, _)| stood.is_some_and(|stood| *index < stood))
        {
            sorted.push(other.value);
        }
        sorted.push(item.value);
    }
    sorted.extend(others.into_iter().map(|(_, item)| item.value));
    sorted
}

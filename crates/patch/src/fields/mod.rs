//! Sets of field paths: what a manager owns, what a change touched.

mod element;
mod of;
mod v1;

pub use element::{Element, Path};
pub use of::{Malformed, MalformedReason};
pub(crate) use of::{all, elements, key_of, of};
pub use v1::FieldsError;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A set of field paths, as a tree. A path may be in it beside paths below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    // No node is empty: each is a member, or leads to one.
    nodes: BTreeMap<Element, Node>,
}

/// One step of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Whether the path that ends here is in the set.
    pub(crate) member: bool,
    /// What is in the set below it, relative to it.
    pub(crate) below: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Paths in it.
    pub fn len(&self) -> usize {
        self.nodes.values().map(|node| usize::from(node.member) + node.below.len()).sum()
    }

    /// Puts a path in. The path of the object itself is never in a set.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.nodes.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    /// Whether a path is in it.
    pub fn contains(&self, path: &[Element]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let Some(node) = self.nodes.get(first) else { return false };
        if rest.is_empty() { node.member } else { node.below.contains(rest) }
    }

    pub(crate) fn node(&self, element: &Element) -> Option<&Node> {
        self.nodes.get(element)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&Element, &Node)> {
        self.nodes.iter()
    }

    /// Puts a node in, unless it is empty.
    pub(crate) fn put(&mut self, element: Element, node: Node) {
        if !node.is_empty() {
            self.nodes.insert(element, node);
        }
    }

    pub(crate) fn remove(&mut self, element: &Element) {
        self.nodes.remove(element);
    }

    pub(crate) fn retain_only(&mut self, element: &Element) {
        self.nodes.retain(|held, _| held == element);
    }

    /// Adds what is in `other`.
    pub fn extend(&mut self, other: &Self) {
        for (element, node) in &other.nodes {
            match self.nodes.entry(element.clone()) {
                Entry::Vacant(place) => {
                    place.insert(node.clone());
                }
                Entry::Occupied(place) => {
                    let held = place.into_mut();
                    held.member |= node.member;
                    held.below.extend(&node.below);
                }
            }
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.extend(other);
        both
    }

    /// What is in this set and not in `other`. A path is no more than itself: what is below it stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here && !there)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here && there)
    }

    fn combine(&self, other: &Self, keep: fn(bool, bool) -> bool) -> Self {
        let mut result = Self::new();
        let none = Node::default();
        for (element, node) in &self.nodes {
            let there = other.nodes.get(element).unwrap_or(&none);
            let member = keep(node.member, there.member);
            result.put(element.clone(), Node { member, below: node.below.combine(&there.below, keep) });
        }
        result
    }

    /// The paths in it: those of one length under one parent first, then those below them, each in order.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, prefix: &mut Vec<Element>, found: &mut Vec<Path>) {
        for (element, node) in &self.nodes {
            if node.member {
                let mut path = prefix.clone();
                path.push(element.clone());
                found.push(Path(path));
            }
        }
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            node.below.collect(prefix, found);
            prefix.pop();
        }
    }
}

impl<'a> FromIterator<&'a [Element]> for FieldSet {
    fn from_iter<I: IntoIterator<Item = &'a [Element]>>(paths: I) -> Self {
        let mut set = Self::new();
        paths.into_iter().for_each(|path| set.insert(path));
        set
    }
}

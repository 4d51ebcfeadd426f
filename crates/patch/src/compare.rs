//! What differs between two states of an object, as sets of field paths.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fields::{Element, FieldSet, Path, all, elements};
use crate::shape::{At, ListView, View};
use crate::value::alike;

/// What a change touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Changes {
    /// What has a new value.
    pub(crate) fn set(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    /// Without what is modified only in how it is written: what no longer differs once the new state is settled.
    pub(crate) fn unless_alike(mut self, old: &Value, settled: Option<&Value>, at: At<'_>) -> Self {
        if !self.modified.is_empty()
            && let Some(settled) = settled
        {
            let left = compare(old, settled, at);
            self.modified = self.modified.intersection(&left.set().union(&left.removed));
        }
        self
    }

    /// Applies to each of the three.
    pub(crate) fn filter(self, keep: impl Fn(FieldSet) -> FieldSet) -> Self {
        Self { added: keep(self.added), modified: keep(self.modified), removed: keep(self.removed) }
    }
}

/// Compares two states. A member that is null in the new one, where the old one has none, is no difference.
pub(crate) fn compare(old: &Value, new: &Value, at: At<'_>) -> Changes {
    let mut walk = Walk { changes: Changes::default(), path: Path::default() };
    walk.pair(Some(old), Some(new), at);
    walk.changes
}

struct Walk {
    changes: Changes,
    path: Path,
}

impl Walk {
    fn pair(&mut self, old: Option<&Value>, new: Option<&Value>, at: At<'_>) {
        match (old.filter(|value| !value.is_null()), new) {
            (None, None | Some(Value::Null)) => {}
            (None, Some(new)) => {
                self.changes.added.insert(&self.path.0);
                self.whole(new, at, |changes| &mut changes.added);
            }
            (Some(old), None) => {
                self.changes.removed.insert(&self.path.0);
                self.whole(old, at, |changes| &mut changes.removed);
            }
            (Some(old), Some(new)) => self.both(old, new, at),
        }
    }

    /// Everything below here comes or goes.
    fn whole(&mut self, value: &Value, at: At<'_>, to: fn(&mut Changes) -> &mut FieldSet) {
        let below = all(value, at);
        if below.is_empty() {
            return;
        }
        let set = to(&mut self.changes);
        for path in below.paths() {
            let mut whole = self.path.0.clone();
            whole.extend(path.0);
            set.insert(&whole);
        }
    }

    fn both(&mut self, old: &Value, new: &Value, at: At<'_>) {
        match (at.view(old), at.view(new)) {
            (View::Map(was), View::Map(is)) => {
                for (name, old) in was {
                    self.step(Element::field(name), Some(old), is.get(name), at.member(name).shape);
                }
                for (name, new) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
                    self.step(Element::field(name), None, Some(new), at.member(name).shape);
                }
            }
            (View::List(was, kind), View::List(is, _)) => {
                match (elements(was, kind.keys), elements(is, kind.keys)) {
                    (Ok(were), Ok(are)) => self.lists((was, &were), (is, &are), kind),
                    // It cannot be taken apart, so it counts as one value.
                    _ => self.leaf(old, new),
                }
            }
            (View::Leaf, View::Leaf) => self.leaf(old, new),
            // It is something else now, and so is all that was in it.
            _ => {
                self.leaf(old, new);
                self.whole(old, at, |changes| &mut changes.removed);
                self.whole(new, at, |changes| &mut changes.added);
            }
        }
    }

    fn leaf(&mut self, old: &Value, new: &Value) {
        if !alike(old, new) {
            self.changes.modified.insert(&self.path.0);
        }
    }

    fn step(&mut self, element: Element, old: Option<&Value>, new: Option<&Value>, at: At<'_>) {
        self.path.0.push(element);
        self.pair(old, new, at);
        self.path.0.pop();
    }

    fn lists(&mut self, old: (&[Value], &[Element]), new: (&[Value], &[Element]), kind: ListView<'_>) {
        type Items<'a> = BTreeMap<&'a Element, (Vec<&'a Value>, Vec<&'a Value>)>;
        let mut items: Items<'_> = BTreeMap::new();
        for (element, item) in old.1.iter().zip(old.0) {
            items.entry(element).or_default().0.push(item);
        }
        for (element, item) in new.1.iter().zip(new.0) {
            items.entry(element).or_default().1.push(item);
        }
        for (element, (was, is)) in items {
            match (was.as_slice(), is.as_slice()) {
                // What one has several times cannot be compared item by item.
                (was, is) if was.len() > 1 || is.len() > 1 => {
                    let same = was.len() == is.len() && was.iter().zip(is).all(|(a, b)| alike(a, b));
                    self.path.0.push(element.clone());
                    match (was, is) {
                        _ if same => {}
                        ([], _) => self.changes.added.insert(&self.path.0),
                        (_, []) => self.changes.removed.insert(&self.path.0),
                        _ => self.changes.modified.insert(&self.path.0),
                    }
                    self.path.0.pop();
                }
                (was, is) => {
                    // An item is there even where it is null.
                    let (was, is) = (was.first().copied(), is.first().copied());
                    if was.is_some_and(Value::is_null) && is.is_some_and(Value::is_null) {
                        continue;
                    }
                    self.path.0.push(element.clone());
                    match (was, is) {
                        (None, Some(Value::Null)) => self.changes.added.insert(&self.path.0),
                        (Some(Value::Null), None) => self.changes.removed.insert(&self.path.0),
                        (was, is) => self.pair(was, is, kind.item),
                    }
                    self.path.0.pop();
                }
            }
        }
    }
}

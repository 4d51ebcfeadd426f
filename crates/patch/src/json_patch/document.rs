//! The document that a patch works on: where a path leads, and what each operation does there.

use serde_json::Value;

use super::budget::Budget;
use super::pointer::{Pointer, index};
use super::{MAX_DEPTH, MAX_RESULT, Reason, short};
use crate::value::{Extent, extent, order};

/// A document with its size and with what may still be done to it.
pub(super) struct Document {
    value: Value,
    bytes: usize,
    budget: Budget,
}

impl Document {
    pub(super) fn new(value: Value, budget: Budget) -> Self {
        let bytes = extent(&value).bytes;
        Self { value, bytes, budget }
    }

    pub(super) fn into_value(self) -> Value {
        self.value
    }

    pub(super) fn get(&self, path: &Pointer) -> Result<&Value, Reason> {
        path.steps.iter().try_fold(&self.value, |at, step| match at {
            Value::Object(members) => members.get(step).ok_or_else(|| nothing(step)),
            Value::Array(items) => items.get(existing(step, items.len())?).ok_or_else(|| nothing(step)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(nothing(step)),
        })
    }

    pub(super) fn copy(&mut self, path: &Pointer) -> Result<Value, Reason> {
        let found = self.get(path)?;
        let size = extent(found).bytes;
        let (value, mut budget) = (found.clone(), self.budget);
        budget.spend(size)?;
        self.budget = budget;
        Ok(value)
    }

    /// Puts a value in: instead of a member, before an item of a list, at its end with `-`, or as the whole document.
    pub(super) fn add(&mut self, path: &Pointer, value: Value) -> Result<(), Reason> {
        let Extent { bytes, .. } = self.measure(path, &value)?;
        let Some((last, parents)) = path.steps.split_last() else {
            self.value = value;
            return self.resize(self.bytes, bytes);
        };
        let mut before = 0;
        let budget = &mut self.budget;
        match parent(&mut self.value, parents)? {
            Value::Object(members) => {
                if let Some(old) = members.insert(last.clone(), value) {
                    before = extent(&old).bytes;
                    budget.spend(before)?;
                }
            }
            Value::Array(items) => {
                let at = if last == "-" { items.len() } else { place(last, items.len())? };
                budget.spend(items.len() - at)?;
                items.insert(at, value);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(nothing(last)),
        }
        self.resize(before, bytes + last.len())
    }

    pub(super) fn remove(&mut self, path: &Pointer) -> Result<Value, Reason> {
        let (last, parents) = path.steps.split_last().ok_or(Reason::Whole)?;
        let budget = &mut self.budget;
        let removed = match parent(&mut self.value, parents)? {
            Value::Object(members) => members.remove(last).ok_or_else(|| nothing(last))?,
            Value::Array(items) => {
                let at = existing(last, items.len())?;
                budget.spend(items.len() - at)?;
                items.remove(at)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(nothing(last)),
        };
        let bytes = extent(&removed).bytes;
        budget.spend(bytes)?;
        self.resize(bytes + last.len(), 0)?;
        Ok(removed)
    }

    pub(super) fn replace(&mut self, path: &Pointer, value: Value) -> Result<(), Reason> {
        let Extent { bytes, .. } = self.measure(path, &value)?;
        let Some((last, parents)) = path.steps.split_last() else {
            self.value = value;
            return self.resize(self.bytes, bytes);
        };
        let place = match parent(&mut self.value, parents)? {
            Value::Object(members) => members.get_mut(last).ok_or_else(|| nothing(last))?,
            Value::Array(items) => {
                let at = existing(last, items.len())?;
                &mut items[at]
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(nothing(last)),
        };
        let before = extent(&std::mem::replace(place, value)).bytes;
        self.budget.spend(before)?;
        self.resize(before, bytes)
    }

    pub(super) fn test(&self, path: &Pointer, wanted: &Value) -> Result<(), Reason> {
        let found = match self.get(path) {
            Ok(found) => found,
            // A member that is absent is null to whoever tests; in a list there is no such thing.
            Err(Reason::Nothing(_)) if wanted.is_null() && self.parent_is_object(path) => &Value::Null,
            Err(reason) => return Err(reason),
        };
        if order(found, wanted).is_eq() { Ok(()) } else { Err(Reason::TestFailed) }
    }

    fn parent_is_object(&self, path: &Pointer) -> bool {
        path.steps.split_last().is_some_and(|(_, parents)| {
            self.get(&Pointer { steps: parents.to_vec() }).is_ok_and(Value::is_object)
        })
    }

    fn measure(&mut self, path: &Pointer, value: &Value) -> Result<Extent, Reason> {
        let extent = extent(value);
        self.budget.spend(extent.bytes)?;
        if path.steps.len() + extent.depth > MAX_DEPTH {
            return Err(Reason::TooDeep);
        }
        Ok(extent)
    }

    fn resize(&mut self, before: usize, after: usize) -> Result<(), Reason> {
        self.bytes = self.bytes.saturating_sub(before) + after;
        if after > before && self.bytes > MAX_RESULT { Err(Reason::TooLarge) } else { Ok(()) }
    }
}

fn nothing(step: &str) -> Reason {
    Reason::Nothing(short(step))
}

/// The index of an item that is there.
fn existing(step: &str, length: usize) -> Result<usize, Reason> {
    let at = index(step).ok_or_else(|| Reason::NotAnIndex(short(step)))?;
    if at < length { Ok(at) } else { Err(nothing(step)) }
}

/// The index of an item that is there, or of the first that is not.
fn place(step: &str, length: usize) -> Result<usize, Reason> {
    let at = index(step).ok_or_else(|| Reason::NotAnIndex(short(step)))?;
    if at <= length { Ok(at) } else { Err(nothing(step)) }
}

/// The object or list that a path ends in.
fn parent<'a>(document: &'a mut Value, steps: &[String]) -> Result<&'a mut Value, Reason> {
    steps.iter().try_fold(document, |at, step| match at {
        Value::Object(members) => members.get_mut(step).ok_or_else(|| nothing(step)),
        Value::Array(items) => {
            let at = existing(step, items.len())?;
            Ok(&mut items[at])
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(nothing(step)),
    })
}

//! Strategic merge patch: a merge patch that knows lists, and has directives.
//!
//! Lists that are told apart by key are merged item by item, sets are united, all others replaced. The directives are
//! `$patch` (`replace`, `delete`, `merge`) in objects and in items, `$retainKeys`, `$deleteFromPrimitiveList/f` and
//! `$setElementOrder/f`. None of them, and no null, is ever left in the result.

mod directives;
mod list;
mod order;

use serde_json::{Map, Value};

use crate::fields::MalformedReason;
use crate::shape::{At, Shape};
use directives::{Directive, Step, without_directives};

/// Why a patch does not apply. To a client it is 400, `BadRequest`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct StrategicError {
    /// Where in the patch: `spec.containers[1]`.
    pub path: String,
    /// Why.
    pub reason: StrategicReason,
}

/// What is wrong with a strategic merge patch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategicReason {
    /// It is no object.
    #[error("a strategic merge patch must be a JSON object")]
    NotAnObject,
    /// A directive has a value that it cannot have.
    #[error("{0} cannot have this value")]
    Directive(String),
    /// `$retainKeys` leaves out what the patch sets.
    #[error("{0:?} is set and not among $retainKeys")]
    NotRetained(String),
    /// An item cannot be told from others.
    #[error(transparent)]
    Item(#[from] MalformedReason),
    /// The items of a list are not in the order that `$setElementOrder` gives them.
    #[error("item {0} is not where $setElementOrder has it")]
    Order(usize),
}

/// What a patch makes of an object.
///
/// # Errors
/// If the patch is no object, has a directive that means nothing, or an item without its key.
pub fn apply(target: &Value, patch: &Value, shape: &Shape) -> Result<Value, StrategicError> {
    let mut trail = Trail::default();
    let Value::Object(patch) = patch else { return Err(trail.error(StrategicReason::NotAnObject)) };
    let target = target.as_object().cloned().unwrap_or_default();
    merge(target, patch, shape.at(), &mut trail).map(Value::Object)
}

/// Where in the patch we are, for errors.
#[derive(Default)]
struct Trail(Vec<String>);

impl Trail {
    fn error(&self, reason: impl Into<StrategicReason>) -> StrategicError {
        let mut path = String::new();
        for step in &self.0 {
            let dot = if path.is_empty() || step.starts_with('[') { "" } else { "." };
            path.push_str(dot);
            path.push_str(step);
        }
        if path.is_empty() {
            path.push('.');
        }
        StrategicError { path, reason: reason.into() }
    }

    fn within<T>(
        &mut self,
        step: impl Into<String>,
        run: impl FnOnce(&mut Self) -> Result<T, StrategicError>,
    ) -> Result<T, StrategicError> {
        self.0.push(step.into());
        let done = run(self)?;
        self.0.pop();
        Ok(done)
    }
}

type Members = Map<String, Value>;

fn merge(
    mut old: Members,
    patch: &Members,
    at: At<'_>,
    trail: &mut Trail,
) -> Result<Members, StrategicError> {
    match Directive::of(patch).map_err(|reason| trail.error(reason))? {
        Some(Directive::Replace) => return Ok(fresh_members(patch)),
        Some(Directive::Delete) => return Ok(Members::new()),
        Some(Directive::Merge) | None => {}
    }
    let steps = Step::all(patch).map_err(|reason| trail.error(reason))?;
    if let Some(retained) = &steps.retained {
        if let Some(name) = steps.set.keys().find(|name| !retained.contains(*name)) {
            return Err(trail.error(StrategicReason::NotRetained((*name).to_owned())));
        }
        old.retain(|name, _| retained.contains(name.as_str()));
    }
    for (name, values) in &steps.deleted {
        if let Some(Value::Array(items)) = old.get_mut(*name) {
            list::delete(items, values);
        }
    }
    for (name, value) in &steps.set {
        let child = at.member(name).shape;
        let order = steps.order.get(name).copied();
        let merged = trail.within(*name, |trail| member(old.remove(*name), value, (child, order), trail))?;
        if let Some(merged) = merged {
            old.insert((*name).to_owned(), merged);
        }
    }
    for (name, order) in steps.order.iter().filter(|(name, _)| !steps.set.contains_key(*name)) {
        let child = at.member(name).shape;
        if let Some(Value::Array(items)) = old.get_mut(*name) {
            let held = std::mem::take(items);
            *items = trail.within(*name, |trail| list::merge(held, &[], (child, Some(order)), trail))?;
        }
    }
    Ok(old)
}

/// What a member becomes; none if it goes.
fn member(
    old: Option<Value>,
    patch: &Value,
    (at, order): (At<'_>, Option<&[Value]>),
    trail: &mut Trail,
) -> Result<Option<Value>, StrategicError> {
    Ok(match (old, patch) {
        (_, Value::Null) => None,
        (Some(Value::Object(old)), Value::Object(patch)) => {
            Some(Value::Object(merge(old, patch, at, trail)?))
        }
        (Some(Value::Array(old)), Value::Array(patch)) => {
            Some(Value::Array(list::merge(old, patch, (at, order), trail)?))
        }
        (_, Value::Array(patch)) => Some(Value::Array(list::merge(Vec::new(), patch, (at, order), trail)?)),
        (_, patch) => Some(fresh(patch)),
    })
}

/// A value of the patch where nothing is: without directives, and without what is null.
fn fresh(patch: &Value) -> Value {
    match patch {
        Value::Object(members) => match Directive::of(members) {
            Ok(Some(Directive::Delete)) => Value::Object(Members::new()),
            _ => Value::Object(fresh_members(members)),
        },
        Value::Array(items) => {
            let left = items.iter().filter(|item| !directives::is_special(item));
            Value::Array(left.map(fresh).collect())
        }
        other => other.clone(),
    }
}

fn fresh_members(patch: &Members) -> Members {
    let said = without_directives(patch).filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| (name.clone(), fresh(value))).collect()
}

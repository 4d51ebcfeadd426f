//! The directives of a strategic merge patch, told from the members that it sets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::StrategicReason;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// What `$patch` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    Replace,
    Delete,
    Merge,
}

impl Directive {
    pub(super) fn of(patch: &Map<String, Value>) -> Result<Option<Self>, StrategicReason> {
        match patch.get(PATCH).map(Value::as_str) {
            None => Ok(None),
            Some(Some("replace")) => Ok(Some(Self::Replace)),
            Some(Some("delete")) => Ok(Some(Self::Delete)),
            Some(Some("merge")) => Ok(Some(Self::Merge)),
            Some(_) => Err(StrategicReason::Directive(PATCH.into())),
        }
    }
}

/// Whether an item of a list is no item, but says what becomes of others.
pub(super) fn is_special(item: &Value) -> bool {
    let directive = item.as_object().map(Directive::of);
    matches!(directive, Some(Ok(Some(Directive::Replace | Directive::Delete))))
}

/// The members that a patch sets.
pub(super) fn without_directives(patch: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    patch.iter().filter(|(name, _)| !is_directive(name))
}

fn is_directive(name: &str) -> bool {
    name == PATCH
        || name == RETAIN
        || [DELETE_FROM, SET_ORDER].iter().any(|prefix| name == *prefix || target(name, prefix).is_some())
}

/// The member that a directive is about.
fn target<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix)?.strip_prefix('/')
}

/// What a patch does to the members of one object.
#[derive(Debug, Default)]
pub(super) struct Step<'a> {
    /// Members that it sets.
    pub(super) set: BTreeMap<&'a str, &'a Value>,
    /// All that are left, if it says so.
    pub(super) retained: Option<BTreeSet<&'a str>>,
    /// Values that go from lists.
    pub(super) deleted: BTreeMap<&'a str, &'a [Value]>,
    /// The order of lists.
    pub(super) order: BTreeMap<&'a str, &'a [Value]>,
}

impl<'a> Step<'a> {
    pub(super) fn all(patch: &'a Map<String, Value>) -> Result<Self, StrategicReason> {
        let mut step = Self::default();
        for (name, value) in patch {
            let wrong = || StrategicReason::Directive(name.clone());
            let list = || value.as_array().map(Vec::as_slice).ok_or_else(wrong);
            if name == PATCH {
            } else if name == RETAIN {
                let names = list()?.iter().map(Value::as_str).collect::<Option<_>>();
                step.retained = Some(names.ok_or_else(wrong)?);
            } else if let Some(member) = target(name, DELETE_FROM) {
                step.deleted.insert(member, list()?);
            } else if let Some(member) = target(name, SET_ORDER) {
                step.order.insert(member, list()?);
            } else if is_directive(name) {
                return Err(wrong());
            } else {
                step.set.insert(name, value);
            }
        }
        Ok(step)
    }
}

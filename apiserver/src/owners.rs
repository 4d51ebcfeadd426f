//! Owners: cycles of them are refused, for nothing in one would ever be collected, and so is an owner in a namespace of
//! what is in none, for nobody could find it.

use std::collections::BTreeSet;

use drover_types::{FieldError, FieldPath, Kind, Scope};
use serde_json::Value;

use crate::error::ApiError;
use crate::objects::{Objects, Place};
use crate::prepare;

/// The most owners that are looked at: far above any real chain.
const LIMIT: usize = 256;

/// `(kind, name, uid)` of what an object says it goes with.
fn references(object: &Value) -> Vec<(Option<Kind>, String, String)> {
    let list = prepare::metadata(object).get("ownerReferences").and_then(Value::as_array);
    let text =
        |item: &Value, member: &str| item.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = |item: &Value| {
        let kind = Kind::by_gvk(&text(item, "apiVersion"), &text(item, "kind"));
        (kind, text(item, "name"), text(item, "uid"))
    };
    list.map(|items| items.iter().map(read).collect()).unwrap_or_default()
}

/// Refuses an owner in a namespace of an object that is cluster-wide.
pub(crate) fn refuse_unreachable(at: Place<'_>, next: &Value) -> Result<(), ApiError> {
    if at.kind.names().scope == Scope::Namespaced {
        return Ok(());
    }
    for (index, (kind, name, _)) in references(next).into_iter().enumerate() {
        if kind.is_some_and(|kind| kind.names().scope == Scope::Namespaced) {
            let path = FieldPath::from("metadata.ownerReferences").index(index);
            let detail = "a cluster-wide object cannot be owned by one in a namespace";
            return Err(ApiError::invalid(at.kind, at.name, &[FieldError::invalid(path, name, detail)]));
        }
    }
    Ok(())
}

/// Refuses owners of which one is, through any number of others, the object itself. Returns the owners looked at, by
/// key, and the revisions at which this is so.
pub(crate) fn refuse_cycle(
    objects: &Objects,
    at: Place<'_>,
    next: &Value,
) -> Result<Vec<(String, u64)>, ApiError> {
    let own = prepare::text(next, "uid");
    let mut seen = BTreeSet::new();
    let mut looked_at = Vec::new();
    let mut open = references(next);
    while let Some((kind, name, uid)) = open.pop() {
        if uid == own {
            let error = FieldError::invalid(
                "metadata.ownerReferences".into(),
                name,
                "an object cannot be owned, directly or through others, by itself",
            );
            return Err(ApiError::invalid(at.kind, at.name, &[error]));
        }
        if !seen.insert(uid.clone()) {
            continue;
        }
        if seen.len() > LIMIT {
            let detail = format!("more than {LIMIT} owners of owners");
            let error = FieldError::too_long("metadata.ownerReferences".into(), detail);
            return Err(ApiError::invalid(at.kind, at.name, &[error]));
        }
        let Some(kind) = kind else { continue };
        let namespace = at.namespace.filter(|_| kind.names().scope == Scope::Namespaced);
        let place = Place { kind, namespace, name: &name };
        if let Some(owner) = objects.find(place)?
            && prepare::text(&owner.object, "uid") == uid
        {
            open.extend(references(&owner.object));
            looked_at.push((place.key(), owner.revision));
        }
    }
    Ok(looked_at)
}

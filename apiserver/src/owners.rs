//! Cycles of owners: refused, for nothing in one would ever be collected.

use std::collections::BTreeSet;

use drover_types::{FieldError, Kind, Scope};
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

/// Refuses owners of which one is, through any number of others, the object itself.
pub(crate) fn refuse_cycle(objects: &Objects, at: Place<'_>, next: &Value) -> Result<(), ApiError> {
    let own = prepare::text(next, "uid");
    let mut seen = BTreeSet::new();
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
        if !seen.insert(uid.clone()) || seen.len() > LIMIT {
            continue;
        }
        let Some(kind) = kind else { continue };
        let namespace = at.namespace.filter(|_| kind.names().scope == Scope::Namespaced);
        let place = Place { kind, namespace, name: &name };
        if let Some(owner) = objects.find(place)?
            && prepare::text(&owner.object, "uid") == uid
        {
            open.extend(references(&owner.object));
        }
    }
    Ok(())
}

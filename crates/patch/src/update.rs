//! Ownership after a write that is no apply: a create, a replace, any other patch.

use serde_json::{Map, Value};

use crate::compare::compare;
use crate::fields::FieldSet;
use crate::managers::{Given, Managers, Operation, Owned, given};
use crate::ownership::{Endpoint, Request, with_managed_fields, without_managed_fields};
use crate::time;
use crate::value::alike_but_for;

/// The next state of an object with its managed fields. `next` is what would be stored, defaults filled in and with
/// what the server writes itself, and with `managedFields` as the client sent it, or without.
///
/// The manager of the write owns what has changed, and nobody else does. Managed fields in `next` count, unless the
/// write comes through a subresource: a list that can be read replaces the stored one first, `[]` and `[{}]` empty it.
/// An object of which nothing is owned stays so until somebody applies.
pub fn update(live: Option<&Value>, next: Value, request: &Request<'_>) -> Value {
    let stored = live.map(Managers::of).unwrap_or_default();
    let mut managers = match request.endpoint {
        Endpoint::Whole | Endpoint::Main => match given(&next) {
            Given::Nothing => stored.clone(),
            Given::Reset => Managers::default(),
            Given::Managers(managers) => managers,
        },
        Endpoint::Status | Endpoint::Other(_) => stored.clone(),
    };
    let next = without_managed_fields(next);
    if live.is_some() && managers.is_empty() {
        return next;
    }
    let empty = Value::Object(Map::new());
    let old = live.map_or_else(|| empty, |live| without_managed_fields(live.clone()));
    let changes = compare(&old, &next, request.shape.at()).filter(|fields| request.own(fields));
    let set = changes.set();
    let id = request.id(Operation::Update);
    managers.take_from_others(Some(&id), &set.union(&changes.removed));
    own(&mut managers, request, &set, &changes.removed);
    managers.cap();
    // What says the same is kept to the letter.
    match live.and_then(|live| live.pointer("/metadata/managedFields")) {
        Some(list) if managers == stored => with_managed_fields(next, list.clone()),
        _ => with_managed_fields(next, managers.encode()),
    }
}

/// Gives the manager of the write what it set, and takes what it removed.
fn own(managers: &mut Managers, request: &Request<'_>, set: &FieldSet, removed: &FieldSet) {
    let id = request.id(Operation::Update);
    let held = managers.0.remove(&id);
    let time = held.as_ref().and_then(|owned| owned.time);
    let fields = held.map(|owned| owned.fields).unwrap_or_default().difference(removed).union(set);
    if fields.is_empty() {
        return;
    }
    let time = if set.is_empty() { time } else { Some(time::whole_seconds(request.now)) };
    managers.0.insert(id, Owned { api_version: request.api_version.to_owned(), time, fields });
}

/// Whether a write would change nothing but times in `managedFields` and the revision. To be asked with both as they
/// would be stored, after defaults and what an admission makes of them: such a write is none.
pub fn is_no_change(live: &Value, next: &Value) -> bool {
    let same_owners = live.pointer("/metadata/managedFields") == next.pointer("/metadata/managedFields")
        || Managers::of(live).same_but_for_times(&Managers::of(next));
    let metadata = |object| Value::pointer(object, "/metadata").and_then(Value::as_object);
    let (Some(old), Some(new)) = (live.as_object(), next.as_object()) else { return live == next };
    let same_metadata = match (metadata(live), metadata(next)) {
        (Some(old), Some(new)) => alike_but_for(old, new, &["managedFields", "resourceVersion"]),
        (old, new) => old == new,
    };
    same_owners && same_metadata && alike_but_for(old, new, &["metadata"])
}

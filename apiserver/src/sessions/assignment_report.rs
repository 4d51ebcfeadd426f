//! What a node reports of its Assignments: their status, and that a deleted one's processes have ended.

use drover_store::Txn;
use drover_types::Kind;
use drover_types::kinds::assignment::FINALIZER;
use drover_wire::{AssignmentIdentity, StatusReport};
use serde_json::{Value, json};

use super::Member;
use super::reports::{Decision, Refusal, put};
use crate::admission;
use crate::objects::{Objects, Place, Stored};
use crate::prepare::{self, Part};
use crate::query::FieldValidation;

/// Whether a stored Assignment is this node's, and not an earlier namesake's.
pub(super) fn is_of(member: &Member, assignment: &Stored) -> bool {
    let node = assignment.object.pointer("/spec/nodeName").and_then(Value::as_str);
    node == Some(&member.name) && assignment.created > member.created
}

/// The Assignment that is reported about, if it is the node's own.
fn find(objects: &Objects, member: &Member, at: Place<'_>, uid: &str) -> Result<Stored, Refusal> {
    let told = || format!("Assignment {}/{} of uid {uid}", at.namespace.unwrap_or_default(), at.name);
    let stored = objects.find(at)?.ok_or_else(|| Refusal(format!("{} is gone", told())))?;
    if prepare::text(&stored.object, "uid") != uid {
        return Err(Refusal(format!("{} is gone; a namesake is there", told())));
    }
    if !is_of(member, &stored) {
        return Err(Refusal(format!("{} is not this node's", told())));
    }
    Ok(stored)
}

/// An Assignment's status as the node sees it.
pub(super) fn decide_status(objects: &Objects, member: &Member, report: &StatusReport) -> Decision {
    let at = Place { kind: Kind::Assignment, namespace: Some(&report.namespace), name: &report.name };
    let stored = find(objects, member, at, &report.uid)?;
    let body = json!({"status": report.status});
    let next = prepare::replace(at.kind, Part::Status, &stored.object, body)?;
    let (next, _) = admission::admit(at.kind, next, Some(&stored.object), &[], FieldValidation::Ignore)?;
    if next.get("status") == stored.object.get("status") {
        return Ok(None);
    }
    // The spec is what it was, however large: only what the node says is bounded, by the frame it came in.
    let txn = Txn::new().when(at.key(), stored.revision);
    Ok(Some(txn.put(at.key(), crate::keys::encode(&next))))
}

/// A deleted Assignment's processes have ended: nothing holds it any more on the node's behalf.
pub(super) fn decide_ended(objects: &Objects, member: &Member, identity: &AssignmentIdentity) -> Decision {
    let at = Place { kind: Kind::Assignment, namespace: Some(&identity.namespace), name: &identity.name };
    let stored = find(objects, member, at, &identity.uid)?;
    if !prepare::is_deleting(&stored.object) {
        return Err(Refusal(format!("Assignment {} was not deleted, and cannot have ended", identity.name)));
    }
    let mut next = stored.object.clone();
    let held: Vec<_> = prepare::finalizers(&next).into_iter().filter(|held| *held != FINALIZER).collect();
    let held: Vec<Value> = held.into_iter().map(Value::from).collect();
    if held.len() == prepare::finalizers(&next).len() {
        return Ok(None);
    }
    let txn = Txn::new().when(at.key(), stored.revision);
    if held.is_empty() {
        return Ok(Some(txn.delete(at.key())));
    }
    next["metadata"]["finalizers"] = held.into();
    put(txn, at, &next)
}

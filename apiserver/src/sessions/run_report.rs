//! A Run as its node tells it: made over the node's session and by nothing else, about the node's own Assignment.

use drover_store::Txn;
use drover_types::kinds::run::RunPhase;
use drover_types::validate::names;
use drover_types::{API_VERSION, Kind};
use serde_json::{Value, json};

use super::Member;
use super::assignment_report::is_of;
use super::reports::{Decision, Refusal, put};
use crate::admission;
use crate::objects::{Objects, Place, Stored};
use crate::prepare;
use crate::query::FieldValidation;

/// The longest end of a run's output in its status.
const MAX_TAIL: usize = 4096;

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A UUID in its usual form.
fn is_uid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn is_finished(run: &Value) -> bool {
    let phase = run.pointer("/status/phase").cloned().unwrap_or_default();
    serde_json::from_value::<RunPhase>(phase).is_ok_and(RunPhase::is_finished)
}

/// What a reported Run makes of the store.
pub(super) fn decide(objects: &Objects, member: &Member, reported: &Value) -> Decision {
    let name = text(reported, "/metadata/name");
    let namespace = text(reported, "/metadata/namespace");
    let uid = text(reported, "/metadata/uid");
    if !names::is_dns_subdomain(name) || !names::is_dns_label(namespace) || !is_uid(uid) {
        return Err(Refusal("a Run without a valid name, namespace and uid".into()));
    }
    if text(reported, "/spec/nodeName") != member.name {
        return Err(Refusal(format!("Run {namespace}/{name} is of another node")));
    }
    let at = Place { kind: Kind::Run, namespace: Some(namespace), name };
    let old = objects.find(at)?;
    if let Some(old) = &old {
        if text(&old.object, "/spec/nodeName") != member.name {
            return Err(Refusal(format!("Run {namespace}/{name} is of another node")));
        }
        if text(&old.object, "/metadata/uid") == uid {
            return update(at, old, reported);
        }
        if !is_finished(&old.object) {
            return Err(Refusal(format!("Run {namespace}/{name} of another uid is not finished")));
        }
    }
    let value = made(objects, member, at, reported)?;
    let (value, _) = admission::admit(at.kind, value, None, &[], FieldValidation::Ignore)?;
    let txn = objects.in_namespace(at, &value)?.when(at.key(), old.map_or(0, |old| old.revision));
    put(txn, at, &value)
}

/// The status of a Run that is there. What it is a run of does not change.
fn update(at: Place<'_>, old: &Stored, reported: &Value) -> Decision {
    let mut next = old.object.clone();
    next["status"] = status(reported);
    let (next, _) = admission::admit(at.kind, next, Some(&old.object), &[], FieldValidation::Ignore)?;
    if next == old.object {
        return Ok(None);
    }
    put(Txn::new().when(at.key(), old.revision), at, &next)
}

fn status(reported: &Value) -> Value {
    let mut status = reported.get("status").cloned().unwrap_or_else(|| json!({}));
    if let Some(Value::String(tail)) = status.get_mut("outputTail")
        && tail.len() > MAX_TAIL
    {
        let begin = (tail.len() - MAX_TAIL..).find(|at| tail.is_char_boundary(*at)).unwrap_or(tail.len());
        tail.drain(..begin);
    }
    status
}

/// A new Run: its uid is the agent's, its owner, labels and workload are its Assignment's.
fn made(objects: &Objects, member: &Member, at: Place<'_>, reported: &Value) -> Result<Value, Refusal> {
    let assignment = text(reported, "/spec/assignmentRef");
    let place = Place { kind: Kind::Assignment, namespace: at.namespace, name: assignment };
    let owner = objects.find(place)?.filter(|owner| is_of(member, owner));
    let claimed = text(reported, "/metadata/ownerReferences/0/uid");
    let owner = owner
        .filter(|owner| claimed.is_empty() || claimed == prepare::text(&owner.object, "uid"))
        .ok_or_else(|| Refusal(format!("Run {} is of no Assignment of this node", at.name)))?
        .object;
    let mut spec = reported.get("spec").cloned().unwrap_or_default();
    for member in ["kind", "name", "uid"] {
        spec["workloadRef"][member] = owner["spec"]["workloadRef"][member].clone();
    }
    let mut value = json!({
        "apiVersion": API_VERSION,
        "kind": "Run",
        "metadata": {
            "name": at.name,
            "namespace": at.namespace,
            "labels": owner["metadata"]["labels"],
            "ownerReferences": [{
                "apiVersion": API_VERSION, "kind": "Assignment", "name": assignment,
                "uid": owner["metadata"]["uid"], "controller": true,
            }],
        },
        "spec": spec,
        "status": status(reported),
    });
    prepare::own(at.kind, &mut value, text(reported, "/metadata/uid").into(), objects.world.clock.now());
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_cut_from_its_beginning_at_a_character() {
        let long = format!("é{}", "x".repeat(MAX_TAIL - 1));
        let cut = status(&json!({"status": {"outputTail": long}}));
        assert_eq!(cut["outputTail"].as_str().unwrap().len(), MAX_TAIL - 1);
        assert_eq!(status(&json!({})), json!({}));
    }

    #[test]
    fn only_a_phase_that_is_final_is_finished() {
        for (phase, expected) in [("Running", false), ("Lost", true), ("Nonsense", false)] {
            assert_eq!(is_finished(&json!({"status": {"phase": phase}})), expected, "{phase}");
        }
        assert!(is_uid("019ab5f0-3c1e-7a3b-9d55-1d2c3b4a5f60") && !is_uid("u"));
    }
}

//! An Event as a node tells it: about its Node, or about what it was assigned.

use drover_store::Txn;
use drover_types::Kind;
use drover_types::kinds::Event;
use drover_types::validate::names;
use serde_json::Value;

use super::assignment_report::is_of;
use super::reports::{Decision, Refusal, put};
use super::{Member, Sessions};
use crate::admission;
use crate::objects::{Objects, Place};
use crate::prepare;
use crate::query::FieldValidation;

/// What a reported Event makes of the store: a new one, or the next state of the one of its name.
pub(super) fn decide(sessions: &Sessions, member: &Member, reported: &Value) -> Decision {
    let objects = &sessions.0.objects;
    let mut event: Event = serde_json::from_value(reported.clone())
        .map_err(|error| Refusal(format!("an Event that cannot be read: {error}")))?;
    let name = std::mem::take(&mut event.metadata.name);
    let namespace = event.metadata.namespace.take().unwrap_or_default();
    if !names::is_dns_subdomain(&name) || !names::is_dns_label(&namespace) {
        return Err(Refusal("an Event without a valid name and namespace".into()));
    }
    if !is_about(sessions, member, &event, &namespace)? {
        return Err(Refusal(format!("Event {namespace}/{name} is not about this node")));
    }
    event.api_version = Kind::Event.api_version().into();
    event.kind = Kind::Event.names().kind.into();
    event.source.host.clone_from(&member.name);
    event.reporting_instance.clone_from(&member.name);
    event.metadata = drover_types::ObjectMeta::default();
    let mut next = serde_json::to_value(event).map_err(|error| Refusal(error.to_string()))?;
    let at = Place { kind: Kind::Event, namespace: Some(&namespace), name: &name };
    match objects.find(at)? {
        Some(old) => {
            if old.object.pointer("/source/host").and_then(Value::as_str) != Some(&member.name) {
                return Err(Refusal(format!("Event {namespace}/{name} is another one's")));
            }
            next["metadata"] = old.object["metadata"].clone();
            let (next, _) = admission::admit(at.kind, next, Some(&old.object), &[], FieldValidation::Ignore)?;
            if next == old.object {
                return Ok(None);
            }
            put(Txn::new().when(at.key(), old.revision), at, &next)
        }
        None => {
            next["metadata"] = serde_json::json!({"name": name, "namespace": namespace});
            let world = &objects.world;
            prepare::create(at.kind, &mut next, world.uuid_v4().to_string(), world.clock.now());
            let (next, _) = admission::admit(at.kind, next, None, &[], FieldValidation::Ignore)?;
            put(objects.in_namespace(at, &next)?.when(at.key(), 0), at, &next)
        }
    }
}

/// Whether a node has a say in what an Event is about.
fn is_about(sessions: &Sessions, member: &Member, event: &Event, namespace: &str) -> Result<bool, Refusal> {
    let object = &event.involved_object;
    if object.kind == "Node" {
        return Ok(object.name == member.name);
    }
    if object.namespace != namespace {
        return Ok(false);
    }
    let objects: &Objects = &sessions.0.objects;
    let at = |kind| Place { kind, namespace: Some(namespace), name: &object.name };
    Ok(match object.kind.as_str() {
        "Assignment" => objects.find(at(Kind::Assignment))?.is_some_and(|found| is_of(member, &found)),
        "Run" => objects.find(at(Kind::Run))?.is_some_and(|found| {
            found.object.pointer("/spec/nodeName").and_then(Value::as_str) == Some(&member.name)
        }),
        "Timer" | "Task" | "Service" => sessions.index().has_workload(&member.name, &object.uid),
        _ => false,
    })
}

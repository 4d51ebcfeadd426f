//! Edits of a Once Task that was handed to a node. Its status tells late, and a node that is away not at all, whether it
//! has started: so whatever has an Assignment counts as started.

use drover_types::Kind;
use drover_types::kinds::Task;
use drover_types::validate::frozen_changes;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::keys;
use crate::objects::{Objects, Place};

/// As much of an Assignment as tells whose it is.
#[derive(Deserialize)]
struct Owned {
    spec: OwnedSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnedSpec {
    workload_ref: Owner,
}

#[derive(Deserialize)]
struct Owner {
    uid: String,
}

/// Refuses a change of what is fixed once a Task has started, if a node was told of it.
pub(crate) fn refuse_late_edit(
    objects: &Objects,
    at: Place<'_>,
    old: &Value,
    next: &Value,
) -> Result<(), ApiError> {
    if at.kind != Kind::Task || old.get("spec") == next.get("spec") {
        return Ok(());
    }
    let decode = |object: &Value| serde_json::from_value::<Task>(object.clone());
    let (Ok(old), Ok(next)) = (decode(old), decode(next)) else { return Ok(()) };
    let frozen = frozen_changes(&next.spec, &old.spec);
    if frozen.is_empty() {
        return Ok(());
    }
    let prefix = keys::prefix(Kind::Assignment, at.namespace);
    let (_, assignments) = objects.cache.snapshot(prefix.as_bytes());
    let told = assignments.iter().any(|held| {
        let owned = serde_json::from_slice::<Owned>(&held.bytes);
        owned.is_ok_and(|owned| owned.spec.workload_ref.uid == old.metadata.uid)
    });
    if told { Err(ApiError::invalid(at.kind, at.name, &frozen)) } else { Ok(()) }
}

//! `tasks/X/run`: a call of an OnDemand Task becomes a child Task of mode Once.
//!
//! The child of an idempotency key bears a name made of the key, so creating it is the deduplication; a finished child
//! that was let go left a tombstone under that name ([`crate::tombstones`]).

use drover_types::call::{self, Called, TaskCall};
use drover_types::kinds::Task;
use drover_types::{API_VERSION, FieldError, Kind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::json::Decoded;
use crate::objects::{Objects, Place, Written};
use crate::query::FieldValidation;
use crate::{admission, pki, prepare, tombstones};

/// Annotation of a child: the key that it is the only call of.
pub(crate) const KEY_ANNOTATION: &str = "drover.dev/idempotency-key";
/// Label of a child: the Task that was called.
const PARENT_LABEL: &str = "drover.dev/task";
/// Longest name of an object.
const MAX_NAME: usize = 253;
/// What a child's name has after its parent's.
const SUFFIX: usize = 17;

/// The body of a call.
#[derive(Debug)]
pub(crate) struct Call(TaskCall);

impl Call {
    pub(crate) fn decode(body: Decoded) -> Result<Self, ApiError> {
        if let Some(path) = body.duplicates.first() {
            return Err(ApiError::bad_request(format!("strict decoding error: duplicate field \"{path}\"")));
        }
        serde_json::from_value(body.value)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("the call cannot be read: {error}")))
    }
}

impl Objects {
    /// Calls a Task. `created` tells whether the child is new.
    pub(crate) async fn call_task(
        &self,
        at: Place<'_>,
        call: Call,
        dry_run: bool,
    ) -> Result<Written, ApiError> {
        let parent = self.get(at)?.object;
        if prepare::is_deleting(&parent) {
            return Err(ApiError::conflict_because(at.kind, at.name, "the task is being deleted"));
        }
        let task: Task = serde_json::from_value(parent).map_err(|error| ApiError::internal(&error))?;
        let refuse = |errors: Vec<FieldError>| ApiError::invalid(at.kind, at.name, &errors);
        let called = call::call(&task, &call.0).map_err(refuse)?;
        if let Some(node) = call.0.node_name.as_deref()
            && self.find(Place { kind: Kind::Node, namespace: None, name: node })?.is_none()
        {
            return Err(refuse(vec![FieldError::invalid("nodeName".into(), node, "there is no such node")]));
        }
        let name = self.child_name(at.name, called.key.as_deref());
        let child = Place { name: &name, ..at };
        if let Some(held) = self.existing(child, &called).await? {
            return Ok(held);
        }
        let mut value = json!({
            "apiVersion": API_VERSION, "kind": Kind::Task.names().kind,
            "metadata": {
                "name": name, "namespace": at.namespace,
                "labels": {PARENT_LABEL: prepare::label_value(at.name)},
                "ownerReferences": [{
                    "apiVersion": API_VERSION, "kind": Kind::Task.names().kind, "name": at.name,
                    "uid": task.metadata.uid, "controller": true,
                }],
            },
            "spec": called.spec,
        });
        if let Some(key) = &called.key {
            value["metadata"]["annotations"] = json!({KEY_ANNOTATION: key});
        }
        prepare::create(at.kind, &mut value, self.world.uuid_v4().to_string(), self.world.clock.now());
        let (value, warnings) = admission::admit(at.kind, value, None, &[], FieldValidation::Strict)?;
        match self.insert(child, value, &[tombstones::key(child)], dry_run).await {
            Ok(object) => Ok(Written { object, warnings, created: true }),
            // Another call with the key was quicker, or the child has just been let go.
            Err(error) if error.code() == 409 => self.existing(child, &called).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// The child that a call with this key has already, whatever became of it.
    async fn existing(&self, child: Place<'_>, called: &Called) -> Result<Option<Written>, ApiError> {
        if called.key.is_none() {
            return Ok(None);
        }
        let held: Option<Value> = match self.find(child)? {
            Some(held) => Some(held.object),
            None => self.tombstone(child).await?,
        };
        let Some(object) = held else { return Ok(None) };
        let theirs = prepare::metadata(&object).get("annotations").and_then(|all| all.get(KEY_ANNOTATION));
        if theirs.and_then(Value::as_str) != called.key.as_deref() {
            let detail = "an object of the name that the idempotency key gives is not the key's child";
            return Err(ApiError::conflict_because(child.kind, child.name, detail));
        }
        Ok(Some(Written { object, warnings: Vec::new(), created: false }))
    }

    fn child_name(&self, task: &str, key: Option<&str>) -> String {
        let part = task.get(..MAX_NAME - SUFFIX).unwrap_or(task).trim_end_matches(['-', '.']);
        match key {
            Some(key) => format!("{part}-{}", pki::hex(&Sha256::digest(key)[..8])),
            None => format!("{part}-{}", self.suffix()),
        }
    }
}

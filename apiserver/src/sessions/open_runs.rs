//! Runs that a restored store holds for unfinished: a node that comes from the history before says which of them it can
//! still speak for. How the others ended is not known, and nobody will ever tell.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use drover_store::{Object, Txn};
use drover_types::Kind;
use drover_types::kinds::Run;
use drover_types::kinds::run::{RunPhase, RunStatus};
use serde_json::Value;

use super::Sessions;
use crate::admission;
use crate::error::ApiError;
use crate::keys;
use crate::objects::{ATTEMPTS, Objects, Stored};
use crate::query::FieldValidation;

/// Keys of unfinished Runs by the name of their node, as of the first time that a node came from another history. What
/// the node reports in this history comes after it has been asked for.
#[derive(Debug, Default)]
pub(super) struct Inherited(Option<BTreeMap<String, Vec<Bytes>>>);

impl Inherited {
    /// Those of a node, once.
    fn take(&mut self, objects: &Objects, node: &str) -> Vec<Bytes> {
        let by_node = self.0.get_or_insert_with(|| {
            let (_, runs) = objects.cache.snapshot(keys::prefix(Kind::Run, None).as_bytes());
            let mut by_node: BTreeMap<String, Vec<Bytes>> = BTreeMap::new();
            for object in runs {
                if let Some(run) = unfinished(&object) {
                    by_node.entry(run.spec.node_name).or_default().push(object.key.clone());
                }
            }
            by_node
        });
        by_node.remove(node).unwrap_or_default()
    }
}

fn unfinished(object: &Object) -> Option<Run> {
    let run: Run = serde_json::from_slice(&object.bytes).ok()?;
    let finished = run.status.as_ref().is_some_and(|status| status.phase.is_finished());
    (!finished).then_some(run)
}

impl Sessions {
    /// Ends the Runs of a node that it has nothing more to say of.
    pub(super) async fn lose_all_but(&self, node: &str, open: &[String]) -> Result<(), ApiError> {
        let keys = {
            let mut inherited = self.0.inherited.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            inherited.take(&self.0.objects, node)
        };
        let open: BTreeSet<&str> = open.iter().map(String::as_str).collect();
        for key in keys {
            self.lose(&key, &open).await?;
        }
        Ok(())
    }

    async fn lose(&self, key: &Bytes, open: &BTreeSet<&str>) -> Result<(), ApiError> {
        let objects = &self.0.objects;
        for _ in 0..ATTEMPTS {
            let Some(object) = objects.cache.get(key) else { return Ok(()) };
            let Some(mut run) = unfinished(&object) else { return Ok(()) };
            if open.contains(run.metadata.uid.as_str()) {
                return Ok(());
            }
            let held = run.status.take().unwrap_or_default();
            run.status = Some(RunStatus {
                phase: RunPhase::Lost,
                pid: None,
                finished_at: Some(objects.world.clock.now()),
                reason: "Restored".into(),
                message: "How it ended is not known: the server was restored to a state from before that."
                    .into(),
                conditions: Vec::new(),
                ..held
            });
            let stored = Stored::decode(&object)?;
            let next: Value = serde_json::to_value(run).map_err(|error| ApiError::internal(&error))?;
            let (next, _) =
                admission::admit(Kind::Run, next, Some(&stored.object), &[], FieldValidation::Ignore)?;
            let txn = Txn::new().when(key.clone(), object.mod_revision).put(key.clone(), keys::encode(&next));
            if let drover_store::TxnOutcome::Committed { .. } = objects.commit(txn).await? {
                return Ok(());
            }
        }
        Err(ApiError::unavailable("a Run is changed by others all the time"))
    }
}

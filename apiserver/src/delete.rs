//! Deleting: at once, or by a mark that stays until the last finalizer is gone.

use drover_store::{Txn, TxnOutcome};
use drover_types::Kind;
use serde_json::Value;

use crate::error::ApiError;
use crate::keys;
use crate::objects::{ATTEMPTS, DEFAULT_NAMESPACE, Objects, Place, with_revision};
use crate::prepare::{self, Part};
use crate::wanted::Wanted;

/// What became of a delete.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone; this was its last state.
    Gone(Value),
    /// Finalizers hold it.
    Held(Value),
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<u64>,
    pub(crate) propagation: Option<String>,
    pub(crate) dry_run: bool,
}

impl Objects {
    pub(crate) async fn delete(&self, at: Place<'_>, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        if at.kind == Kind::Namespace && at.name == DEFAULT_NAMESPACE {
            return Err(ApiError::forbidden(Kind::Namespace, at.name, "this namespace may not be deleted"));
        }
        let finalizer = match options.propagation.as_deref() {
            None | Some("Background") => None,
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "propagationPolicy: {other:?} is none of \"Background\", \"Foreground\", \"Orphan\""
                )));
            }
        };
        let wanted = Wanted { part: Part::Main, uid: options.uid.clone(), revision: options.revision };
        for _ in 0..ATTEMPTS {
            let old = self.get(at)?;
            wanted.check(at, &old)?;
            let mut next = old.object.clone();
            if !prepare::is_deleting(&next) {
                next["metadata"]["deletionTimestamp"] = prepare::time(self.world.clock.now());
                next["metadata"]["deletionGracePeriodSeconds"] = 0.into();
                if let Some(finalizer) = finalizer {
                    add_finalizer(&mut next, finalizer);
                }
                if at.kind == Kind::Namespace {
                    next["status"]["phase"] = "Terminating".into();
                }
            }
            let held = prepare::is_held(at.kind, &next);
            let txn = Txn::new().when(at.key(), old.revision).making_room();
            let txn = match (held, next == old.object) {
                (true, true) => return Ok(Deleted::Held(next)),
                (true, false) => txn.put(at.key(), keys::encode(&next)),
                (false, _) => self.remove(at, &next, txn),
            };
            let done = |revision| {
                let object = with_revision(next.clone(), revision);
                if held { Deleted::Held(object) } else { Deleted::Gone(object) }
            };
            if options.dry_run {
                return Ok(done(old.revision));
            }
            match self.commit(txn).await? {
                TxnOutcome::Committed { revision } => return Ok(done(revision)),
                TxnOutcome::Conflict { .. } if wanted.revision.is_some() => break,
                TxnOutcome::Conflict { .. } => {}
            }
        }
        Err(ApiError::conflict(at.kind, at.name))
    }
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    let mut list: Vec<Value> = prepare::finalizers(object).into_iter().map(Value::from).collect();
    if !list.iter().any(|held| held == finalizer) {
        list.push(finalizer.into());
    }
    object["metadata"]["finalizers"] = list.into();
}

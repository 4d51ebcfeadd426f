//! Changing what is there: PUT, patches and server-side apply, with optimistic concurrency.

use drover_patch::{drop_nulls, update};
use drover_store::{Txn, TxnOutcome};
use drover_types::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use crate::admission;
use crate::error::ApiError;
use crate::json::Decoded;
use crate::objects::{ATTEMPTS, Objects, Place, Stored, Written, with_revision};
use crate::ownership::{Booking, Owners};
use crate::patch::Patch;
use crate::prepare::{self, Part};
use crate::query::Params;
use crate::wanted::Wanted;
use crate::{keys, owners, started};

/// What a change makes of an object.
pub(crate) struct Next {
    pub(crate) body: Value,
    /// Members that stood twice in what the client sent.
    pub(crate) duplicates: Vec<String>,
    /// Whether the owners of its fields are in `body` as they are to be stored.
    pub(crate) settled: bool,
}

impl Objects {
    /// PUT: replaces one part of an object.
    pub(crate) async fn replace(
        &self,
        at: Place<'_>,
        part: Part,
        body: Decoded,
        params: &Params,
    ) -> Result<Written, ApiError> {
        params.booking.refuse_force()?;
        let Decoded { mut value, duplicates } = body;
        drop_nulls(&mut value);
        prepare::address(at.kind, at.namespace, Some(at.name), &mut value)?;
        let wanted = Wanted::of(at, part, &value)?;
        if wanted.revision.is_none() && !at.kind.names().group.is_empty() {
            let error =
                FieldError::invalid("metadata.resourceVersion".into(), 0, "must be specified for an update");
            return Err(ApiError::invalid(at.kind, at.name, &[error]));
        }
        let next =
            |_: &Stored| Ok(Next { body: value.clone(), duplicates: duplicates.clone(), settled: false });
        self.update(at, &wanted, params, next).await
    }

    /// PATCH, of any type but apply.
    pub(crate) async fn patch(
        &self,
        at: Place<'_>,
        part: Part,
        (patch, body): (Patch, Decoded),
        params: &Params,
    ) -> Result<Written, ApiError> {
        params.booking.refuse_force()?;
        let any = Wanted { part, uid: None, revision: None };
        self.update(at, &any, params, |old| {
            let changed = patch.apply(at, &params.face.view(&old.object), &body.value)?;
            let (mut next, _) = params.face.stored(changed, params.field_validation)?;
            prepare::address(at.kind, at.namespace, Some(at.name), &mut next)?;
            // What a patch sets or tests is the version that it is meant for.
            Wanted::of(at, part, &next)?.check(at, old)?;
            Ok(Next { body: next, duplicates: body.duplicates.clone(), settled: false })
        })
        .await
    }

    /// Reads, changes and writes, again if another write came between and no version was asked for.
    pub(crate) async fn update(
        &self,
        at: Place<'_>,
        wanted: &Wanted,
        params: &Params,
        change: impl Fn(&Stored) -> Result<Next, ApiError> + Send + Sync,
    ) -> Result<Written, ApiError> {
        for _ in 0..ATTEMPTS {
            let old = self.get(at)?;
            wanted.check(at, &old)?;
            let (next, warnings) =
                next((at, wanted.part), &old, change(&old)?, params, self.world.clock.now())?;
            let written = |object| Written { object, warnings: warnings.clone(), created: false };
            let goes = prepare::is_deleting(&next) && !prepare::is_held(at.kind, &next);
            let mut txn = Txn::new().when(at.key(), old.revision);
            let owners = |object| prepare::metadata(object).get("ownerReferences").cloned();
            if owners(&next) != owners(&old.object) {
                owners::refuse_unreachable(at, &next)?;
                // Two who make a circle at once, each with half of it: the second meets the first's revision.
                for (key, revision) in owners::refuse_cycle(self, at, &next)? {
                    txn = txn.when(key, revision);
                }
            }
            started::refuse_late_edit(self, at, &old.object, &next)?;
            if !goes && is_no_change(&params.booking, &old.object, &next) {
                return Ok(written(old.object));
            }
            if params.dry_run {
                return Ok(written(next));
            }
            // The end of a deletion makes room.
            let txn = if prepare::is_deleting(&next) { txn.making_room() } else { txn };
            let txn = if goes { self.remove(at, &next, txn) } else { txn.put(at.key(), keys::encode(&next)) };
            match self.commit(txn).await? {
                TxnOutcome::Committed { revision } => return Ok(written(with_revision(next, revision))),
                TxnOutcome::Conflict { key, .. } if wanted.revision.is_some() && key == at.key() => break,
                TxnOutcome::Conflict { .. } => {}
            }
        }
        Err(ApiError::conflict(at.kind, at.name))
    }
}

/// What is stored for a change: server-owned members kept, defaults filled in, owners booked. And what its client is
/// warned of.
pub(crate) fn next(
    (at, part): (Place<'_>, Part),
    old: &Stored,
    change: Next,
    params: &Params,
    now: Timestamp,
) -> Result<(Value, Vec<String>), ApiError> {
    let Next { body, duplicates, settled } = change;
    let given = prepare::metadata(&body).get("managedFields").cloned();
    let next = prepare::replace(at.kind, part, &old.object, body)?;
    let (mut next, warnings) =
        admission::admit(at.kind, next, Some(&old.object), &duplicates, params.field_validation)?;
    prepare::count_generation(at.kind, &old.object, &mut next);
    let owners = if settled { Owners::Settled(given) } else { Owners::Sent(given) };
    let next = params.booking.booked((at.kind, part), (Some(&old.object), next), owners, now);
    Ok((with_revision(next, old.revision), warnings))
}

/// A write that would change nothing but the times in `managedFields` is none.
pub(crate) fn is_no_change(booking: &Booking, old: &Value, next: &Value) -> bool {
    next == old || (booking.is_kept() && update::is_no_change(old, next))
}

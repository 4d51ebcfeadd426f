//! Server-side apply: PATCH with a configuration, which makes an object where there is none.

use drover_patch::apply::{self, ApplyError};
use drover_types::admit;
use drover_types::status::StatusCause;
use jiff::Timestamp;
use serde_json::Value;

use crate::change::Next;
use crate::error::ApiError;
use crate::json::Decoded;
use crate::objects::{ATTEMPTS, Objects, Place, Written};
use crate::ownership::Booking;
use crate::prepare::{self, Part};
use crate::query::Params;
use crate::wanted::Wanted;

impl Objects {
    /// PATCH with `application/apply-patch+yaml`.
    pub(crate) async fn apply(
        &self,
        at: Place<'_>,
        part: Part,
        body: Decoded,
        params: &Params,
    ) -> Result<Written, ApiError> {
        let mut body = body;
        prepare::address(at.kind, at.namespace, Some(at.name), &mut body.value)?;
        let wanted = Wanted::of(at, part, &body.value)?;
        let applied =
            |live: Option<&Value>| applied((at, part), live, &body, &params.booking, self.world.clock.now());
        // It may come and go while this looks.
        for _ in 0..ATTEMPTS {
            if self.find(at)?.is_some() || part == Part::Status {
                match self.update(at, &wanted, params, |old| applied(Some(&old.object))).await {
                    Err(error) if error.code() == 404 && part == Part::Main => {}
                    other => return other,
                }
            } else if wanted.revision.is_some() {
                return Err(ApiError::conflict(at.kind, at.name));
            } else {
                match self.create_from(at.kind, at.namespace, applied(None)?, params).await {
                    Err(error) if error.status().reason == "AlreadyExists" => {}
                    other => return other,
                }
            }
        }
        Err(ApiError::conflict(at.kind, at.name))
    }
}

/// What an apply of this body makes of an object.
pub(crate) fn applied(
    (at, part): (Place<'_>, Part),
    live: Option<&Value>,
    body: &Decoded,
    booking: &Booking,
    now: Timestamp,
) -> Result<Next, ApiError> {
    let request = booking.apply(at.kind, part, now);
    // As it would be stored: a duration of 90s is 1m30s there, and no conflict.
    let settle = |object: &Value| admit::admit(at.kind, object.clone(), None).ok().map(|it| it.value);
    let outcome = apply::apply_settled(live, body.value.clone(), &request, &settle);
    let outcome = outcome.map_err(|error| refusal(at, error))?;
    Ok(Next { body: outcome.into_object(), duplicates: body.duplicates.clone(), settled: true })
}

fn refusal(at: Place<'_>, error: ApplyError) -> ApiError {
    let text = error.to_string();
    match error {
        ApplyError::NoManager => ApiError::new(422, "Invalid", text),
        ApplyError::Gone(_) => ApiError::conflict_because(at.kind, at.name, &text),
        ApplyError::Conflicts(conflicts) => {
            let cause = |cause: drover_patch::conflict::Cause| StatusCause {
                reason: drover_patch::conflict::CAUSE_REASON.into(),
                message: cause.message,
                field: cause.field,
            };
            ApiError::apply_conflict(text, conflicts.causes().into_iter().map(cause).collect())
        }
        ApplyError::ManagedFields
        | ApplyError::NotAnObject
        | ApplyError::Version { .. }
        | ApplyError::Malformed(_) => ApiError::bad_request(text),
    }
}

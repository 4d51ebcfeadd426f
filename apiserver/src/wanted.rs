//! The version of an object that a write is meant for.

use drover_types::FieldError;
use serde_json::Value;

use crate::error::ApiError;
use crate::objects::{Place, Stored};
use crate::prepare::{self, Part};

/// The version of an object that a write is meant for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) part: Part,
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<u64>,
}

impl Wanted {
    /// As a body names it.
    pub(crate) fn of(at: Place<'_>, part: Part, body: &Value) -> Result<Self, ApiError> {
        let given = |member: &str| Some(prepare::text(body, member)).filter(|text| !text.is_empty());
        let revision = match given("resourceVersion") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                let error =
                    FieldError::invalid("metadata.resourceVersion".into(), text, "must be a decimal u64");
                ApiError::invalid(at.kind, at.name, &[error])
            })?),
        };
        Ok(Self { part, uid: given("uid").map(str::to_owned), revision })
    }

    pub(crate) fn check(&self, at: Place<'_>, held: &Stored) -> Result<(), ApiError> {
        if let Some(uid) = &self.uid
            && uid != prepare::text(&held.object, "uid")
        {
            let detail = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                prepare::text(&held.object, "uid")
            );
            return Err(ApiError::conflict_because(at.kind, at.name, &detail));
        }
        match self.revision {
            Some(revision) if revision != held.revision => Err(ApiError::conflict(at.kind, at.name)),
            _ => Ok(()),
        }
    }
}

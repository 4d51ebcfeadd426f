//! PATCH by its content type, and its refusals.

use drover_patch::json_patch::{self, JsonPatchError};
use drover_patch::{merge_patch, strategic};
use serde_json::Value;

use crate::error::ApiError;
use crate::objects::Place;
use crate::ownership;

/// How a change of an object is written. Server-side apply is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, which knows lists.
    Strategic,
}

impl Patch {
    /// By content type.
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }

    /// What it makes of an object.
    pub(crate) fn apply(self, at: Place<'_>, old: &Value, patch: &Value) -> Result<Value, ApiError> {
        match self {
            Self::Json => json_patch::apply(old, patch).map_err(|error| match error {
                JsonPatchError::TooManyOperations(_) => {
                    ApiError::new(413, "RequestEntityTooLarge", error.to_string())
                }
                error if error.is_bad_request() => ApiError::bad_request(error.to_string()),
                // One that does not apply, as a test that fails: whoever sent it looks again.
                error => ApiError::unprocessable(at.kind, at.name, &error.to_string()),
            }),
            Self::Merge => merge_patch::apply(old, patch)
                .map_err(|_| ApiError::bad_request("a merge patch must be a JSON object")),
            Self::Strategic => strategic::apply(old, patch, ownership::shape(at.kind))
                .map_err(|error| ApiError::bad_request(error.to_string())),
        }
    }
}

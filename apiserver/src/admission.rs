//! The gate before every write: the rules of the kind, and what becomes of fields that nobody knows.

use drover_types::Kind;
use drover_types::admit::{self, Admitted};
use serde_json::Value;

use crate::error::ApiError;
use crate::prepare;
use crate::query::FieldValidation;

/// Admits what is about to be stored, as a change of `old` if there is one. Returns it with its defaults filled
/// in, and what the client is warned of.
pub(crate) fn admit(
    kind: Kind,
    value: Value,
    old: Option<&Value>,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let name = prepare::text(&value, "name").to_owned();
    let Admitted { value, unknown_fields } =
        admit::admit(kind, value, old).map_err(|errors| ApiError::invalid(kind, &name, &errors))?;
    let unknown = unknown_fields.iter().map(|path| format!("unknown field \"{path}\""));
    let twice = duplicates.iter().map(|path| format!("duplicate field \"{path}\""));
    let warnings = warned(unknown.chain(twice).collect(), validation)?;
    Ok((value, warnings))
}

/// What a client is told of fields that are not as they should be, if `fieldValidation` lets them pass.
pub(crate) fn warned(wrong: Vec<String>, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
    match validation {
        FieldValidation::Strict if !wrong.is_empty() => {
            Err(ApiError::bad_request(format!("strict decoding error: {}", wrong.join(", "))))
        }
        FieldValidation::Strict | FieldValidation::Warn => Ok(wrong),
        FieldValidation::Ignore => Ok(Vec::new()),
    }
}

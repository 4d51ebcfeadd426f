//! The gate before every write: what is stored decodes as its kind, bears a proper name, and has no unknown field
//! that the client did not ask to be dropped.

use drover_types::kinds::{
    Assignment, ConfigMap, Event, Lease, Namespace, Node, NodePool, Run, Secret, Service, Task, Timer,
};
use drover_types::{FieldError, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;
use crate::prepare;
use crate::query::FieldValidation;

/// Decodes as `T`, and names the members that `T` does not have.
fn typed<T: DeserializeOwned + Serialize>(value: Value) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut unknown = Vec::new();
    let decoded: T = serde_ignored::deserialize(value, |path| unknown.push(path.to_string()))?;
    Ok((serde_json::to_value(decoded)?, unknown))
}

fn decode(kind: Kind, value: Value) -> Result<(Value, Vec<String>), serde_json::Error> {
    match kind {
        Kind::Namespace => typed::<Namespace>(with_spec(value)),
        Kind::Node => typed::<Node>(with_spec(value)),
        Kind::Secret => typed::<Secret>(value),
        Kind::ConfigMap => typed::<ConfigMap>(value),
        Kind::Event => typed::<Event>(value),
        Kind::Lease => typed::<Lease>(with_spec(value)),
        Kind::Timer => typed::<Timer>(value),
        Kind::Task => typed::<Task>(value),
        Kind::Service => typed::<Service>(value),
        Kind::NodePool => typed::<NodePool>(with_spec(value)),
        Kind::Assignment => typed::<Assignment>(value),
        Kind::Run => typed::<Run>(value),
    }
}

/// Kinds whose whole spec may be absent.
fn with_spec(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.entry("spec").or_insert_with(|| serde_json::json!({}));
    }
    value
}

/// A DNS-1123 subdomain.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

/// Admits what is about to be stored. Returns it as its kind encodes it, and what the client is warned of.
pub(crate) fn admit(
    kind: Kind,
    value: Value,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let name = prepare::text(&value, "name").to_owned();
    if !is_name(&name) {
        let path = "metadata.name".into();
        let error = if name.is_empty() {
            FieldError::required(path, "name or generateName is required")
        } else {
            FieldError::invalid(
                path,
                name.as_str(),
                "a DNS-1123 subdomain must consist of lower case letters, digits, '-' or '.', begin and end with a \
                 letter or digit, and have at most 253 characters",
            )
        };
        return Err(ApiError::invalid(kind, &name, &[error]));
    }
    let revision = prepare::metadata(&value).get("resourceVersion").cloned();
    let (mut value, unknown) = decode(kind, value).map_err(|error| {
        ApiError::bad_request(format!("{} in version \"v1\" cannot be handled: {error}", kind.names().kind))
    })?;
    if let Some(revision) = revision {
        value["metadata"]["resourceVersion"] = revision;
    }
    let twice = duplicates.iter().map(|path| format!("duplicate field \"{path}\""));
    let warnings: Vec<_> =
        unknown.iter().map(|path| format!("unknown field \"{path}\"")).chain(twice).collect();
    match validation {
        FieldValidation::Strict if !warnings.is_empty() => {
            Err(ApiError::bad_request(format!("strict decoding error: {}", warnings.join(", "))))
        }
        FieldValidation::Strict | FieldValidation::Warn => Ok((value, warnings)),
        FieldValidation::Ignore => Ok((value, Vec::new())),
    }
}

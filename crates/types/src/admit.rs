//! The gate of every write: decode by kind, fill in defaults, check the rules. A pure function, so that the command
//! line refuses what the server would refuse.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kinds::core::{Lease, Namespace, Node};
use crate::kinds::{
    Assignment, ConfigMap, Event, NodePool, Run, Secret, Service, ServiceAccount, Task, Timer,
};
use crate::shape::{self, Shape};
use crate::validate::{self, Rules};
use crate::{FieldError, FieldPath, Kind, not_built};

/// An object that may be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// Decoded, with defaults, without fields nobody knows.
    pub value: Value,
    /// Paths of fields that nobody knows; they are not in `value`.
    pub unknown_fields: Vec<String>,
}

/// Admits an object of a kind, as a change of `old` if there is one. A null in a map is an absent member.
pub fn admit(kind: Kind, mut value: Value, old: Option<&Value>) -> Result<Admitted, Vec<FieldError>> {
    strip_nulls(&mut value);
    let mut unknown = envelope(kind, &mut value)?;
    let (value, more) = match kind {
        Kind::Namespace => typed::<Namespace>(kind, &value, old),
        Kind::Node => typed::<Node>(kind, &value, old),
        Kind::Secret => typed::<Secret>(kind, &value, old),
        Kind::ConfigMap => typed::<ConfigMap>(kind, &value, old),
        Kind::ServiceAccount => typed::<ServiceAccount>(kind, &value, old),
        Kind::Event => typed::<Event>(kind, &value, old),
        Kind::Lease => typed::<Lease>(kind, &value, old),
        Kind::Timer => typed::<Timer>(kind, &value, old),
        Kind::Task => typed::<Task>(kind, &value, old),
        Kind::Service => typed::<Service>(kind, &value, old),
        Kind::NodePool => typed::<NodePool>(kind, &value, old),
        Kind::Assignment => typed::<Assignment>(kind, &value, old),
        Kind::Run => typed::<Run>(kind, &value, old),
    }?;
    unknown.extend(more);
    Ok(Admitted { value, unknown_fields: unknown })
}

/// `apiVersion` and `kind` must agree with the path; absent ones are filled in, as is the empty spec of the kinds
/// whose clients leave it out.
fn envelope(kind: Kind, value: &mut Value) -> Result<Vec<String>, Vec<FieldError>> {
    let Value::Object(map) = value else {
        return Err(vec![FieldError::invalid(FieldPath::root(), value.clone(), "expected an object")]);
    };
    let names = kind.names();
    let mut errors = Vec::new();
    for (member, want) in [("apiVersion", kind.api_version()), ("kind", names.kind)] {
        let held = map.entry(member).or_insert_with(|| want.into());
        if held != want {
            let detail = format!("must be {want}");
            errors.push(FieldError::invalid(member.into(), held.clone(), detail));
        }
    }
    if matches!(kind, Kind::Namespace | Kind::Node | Kind::Lease | Kind::NodePool) {
        map.entry("spec").or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    let mut unknown = Vec::new();
    if !names.has_status && map.remove("status").is_some() {
        unknown.push("status".to_owned());
    }
    if errors.is_empty() { Ok(unknown) } else { Err(errors) }
}

fn typed<T: DeserializeOwned + Serialize + Rules>(
    kind: Kind,
    value: &Value,
    old: Option<&Value>,
) -> Result<(Value, Vec<String>), Vec<FieldError>> {
    let Shape { object, unknown, mut errors, left_out } = shape::decode::<T>(kind, value);
    let mut unknown_fields = Vec::new();
    for path in unknown {
        match not_built::not_built_field(kind, &path) {
            Some(brings) => errors.push(not_built::refusal(path.as_str().into(), brings)),
            None => unknown_fields.push(path),
        }
    }
    if let Some(mut object) = object {
        object.fill_defaults();
        let mut broken = Vec::new();
        validate::metadata::check(kind, object.metadata(), &mut broken);
        object.check(&mut broken);
        // What is stored was admitted once; if a newer build cannot read it, there is nothing to compare.
        let old = old.and_then(|old| shape::decode::<T>(kind, old).object);
        if let Some(mut old) = old.filter(|_| left_out.is_empty()) {
            old.fill_defaults();
            object.check_update(&old, &mut broken);
        }
        errors.extend(broken.into_iter().filter(|error| !shape::follows(error, &left_out)));
        if errors.is_empty() {
            return match serde_json::to_value(&object) {
                Ok(value) => Ok((value, unknown_fields)),
                Err(e) => Err(vec![FieldError::invalid(FieldPath::root(), Value::Null, e)]),
            };
        }
    }
    // What is missing is often what was misspelt: that is told first.
    let misspelt = unknown_fields.iter().map(|path| FieldError::unknown(path.as_str().into()));
    Err(at_most(misspelt.chain(errors).collect()))
}

/// So many errors are told at once.
const MAX_ERRORS: usize = 50;

fn at_most(mut errors: Vec<FieldError>) -> Vec<FieldError> {
    if let Some(more) = errors.len().checked_sub(MAX_ERRORS).filter(|more| *more > 0) {
        errors.truncate(MAX_ERRORS);
        errors
            .push(FieldError::too_long(FieldPath::root(), format_args!("{more} more errors are not shown")));
    }
    errors
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

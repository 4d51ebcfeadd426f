//! Parameters of a Task: their declaration, and the values of a call.

use serde_json::Value;

use crate::kinds::task::{Param, ParamType, TaskSpec};
use crate::kinds::template::ParamValues;
use crate::validate::bounds;
use crate::{FieldError, FieldPath};

/// The values of a call, with defaults filled in and texts read as their type (`-p n=5` sends a text). Errors are
/// under `params`.
pub fn resolve_params(spec: &TaskSpec, given: &ParamValues) -> Result<ParamValues, Vec<FieldError>> {
    let at = FieldPath::from("params");
    let mut errors = Vec::new();
    let mut out = ParamValues::new();
    if !bounds::fits(&at, given.len(), bounds::PARAMS, &mut errors) {
        return Err(errors);
    }
    for name in given.keys() {
        if !spec.params.iter().any(|p| p.name == *name) {
            let known: Vec<&str> = spec.params.iter().map(|p| p.name.as_str()).collect();
            errors.push(FieldError::not_supported(at.key(name), name.as_str(), &known));
        }
    }
    for param in &spec.params {
        let path = at.key(&param.name);
        match given.get(&param.name).or(param.default.as_ref()) {
            Some(value) => match read(param, value) {
                Ok(value) => {
                    out.insert(param.name.clone(), value);
                }
                Err(detail) => errors.push(FieldError::invalid(path, value.clone(), detail)),
            },
            None if param.required == Some(true) => {
                errors.push(FieldError::required(path, "the task requires it"));
            }
            None => {}
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

/// The value as the parameter's type.
fn read(param: &Param, value: &Value) -> Result<Value, String> {
    let typed = match (param.type_.unwrap_or_default(), value) {
        (ParamType::String, Value::String(_)) | (ParamType::Boolean, Value::Bool(_)) => value.clone(),
        (ParamType::String, Value::Number(_) | Value::Bool(_)) => Value::String(value.to_string()),
        (ParamType::Integer, Value::Number(n)) if n.is_i64() => value.clone(),
        (ParamType::Integer, Value::String(text)) => {
            text.parse::<i64>().map(Value::from).map_err(|_| "must be a 64-bit integer".to_owned())?
        }
        (ParamType::Boolean, Value::String(text)) => {
            text.parse::<bool>().map(Value::from).map_err(|_| "must be true or false".to_owned())?
        }
        (ParamType::String, _) => return Err("must be a text".into()),
        (ParamType::Integer, _) => return Err("must be a 64-bit integer".into()),
        (ParamType::Boolean, _) => return Err("must be true or false".into()),
    };
    if typed.as_str().is_some_and(|text| text.contains('\0')) {
        return Err("must not contain a NUL byte".into());
    }
    if param.enum_.is_empty() || param.enum_.contains(&typed) {
        Ok(typed)
    } else {
        let list: Vec<String> = param.enum_.iter().map(ToString::to_string).collect();
        Err(format!("must be one of {}", list.join(", ")))
    }
}

pub(crate) fn check(at: &FieldPath, params: &[Param], errors: &mut Vec<FieldError>) {
    if !bounds::fits(at, params.len(), bounds::PARAMS, errors) {
        return;
    }
    for (i, param) in params.iter().enumerate() {
        let at = at.index(i);
        let name = param.name.as_str();
        let shape = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !shape || name.is_empty() || name.len() > 63 || name.starts_with(|c: char| c.is_ascii_digit()) {
            let detail = "must be letters, digits and '_', not starting with a digit, at most 63";
            errors.push(FieldError::invalid(at.child("name"), name, detail));
        }
        // They reach a script as DROVER_PARAM_<NAME>, where capitals no longer tell them apart.
        if params[..i].iter().any(|p| p.name.eq_ignore_ascii_case(name)) {
            errors.push(FieldError::duplicate(at.child("name"), name));
        }
        let bare = Param { enum_: Vec::new(), ..param.clone() };
        let few = bounds::fits(&at.child("enum"), param.enum_.len(), bounds::VALUES, errors);
        for (j, value) in param.enum_.iter().enumerate().filter(|_| few) {
            match read(&bare, value) {
                Ok(typed) if typed == *value => {}
                _ => errors.push(FieldError::invalid(
                    at.child("enum").index(j),
                    value.clone(),
                    "is not of the parameter's type",
                )),
            }
        }
        if let Some(default) = &param.default {
            if let Err(detail) = read(param, default) {
                errors.push(FieldError::invalid(at.child("default"), default.clone(), detail));
            }
            if param.required == Some(true) {
                let detail = "a required parameter has no default";
                errors.push(FieldError::forbidden(at.child("default"), detail));
            }
        }
    }
}

//! Task: its mode, its parameters, and what stays once it started.

use super::{Rules, params, placement, template};
use crate::call::MAX_KEY;
use crate::kinds::Task;
use crate::kinds::task::{TaskMode, TaskSpec};
use crate::substitute::{UnknownName, substitute};
use crate::{FieldError, FieldPath, ObjectMeta};

impl Rules for Task {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn fill_defaults(&mut self) {
        let implied = if self.spec.params.is_empty() { TaskMode::Once } else { TaskMode::OnDemand };
        self.spec.mode.get_or_insert(implied);
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let at = FieldPath::from("spec");
        let spec = &self.spec;
        params::check(&at.child("params"), &spec.params, errors);
        if let Some(values) = &spec.param_values {
            if spec.mode != Some(TaskMode::Once) {
                let detail = "only a child of mode Once bears values";
                errors.push(FieldError::forbidden(at.child("paramValues"), detail));
            } else if let Err(found) = params::resolve_params(spec, values) {
                let at = at.child("paramValues");
                errors.extend(found.into_iter().map(|error| {
                    let name = error.path.as_str().trim_start_matches("params").to_owned();
                    FieldError { path: format!("{at}{name}").as_str().into(), ..error }
                }));
            }
        } else if spec.mode == Some(TaskMode::Once) && !spec.params.is_empty() {
            let detail = "a Once Task is called by nobody, so its params have no values; use OnDemand";
            errors.push(FieldError::invalid(at.child("mode"), "Once", detail));
        }
        if let Some(key) = &spec.idempotency_key {
            check_key(at.child("idempotencyKey"), key, self, errors);
        }
        if let Some(placement) = &spec.placement {
            placement::check(&at.child("placement"), placement, &spec.template, errors);
        }
        template::check(&at.child("template"), &spec.template, &spec.params, errors);
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        if self.spec.param_values != old.spec.param_values {
            let detail = "field is immutable; only the server sets it, for a child that a call makes";
            errors.push(FieldError::forbidden("spec.paramValues".into(), detail));
        }
        let started = old
            .status
            .as_ref()
            .is_some_and(|s| s.start_time.is_some() || s.active > 0 || s.succeeded > 0 || s.failed > 0);
        if started {
            errors.extend(frozen_changes(&self.spec, &old.spec));
        }
    }
}

/// What a change of a Once Task's spec alters that must not be altered any more once anything of it has started.
pub fn frozen_changes(new: &TaskSpec, old: &TaskSpec) -> Vec<FieldError> {
    if old.mode != Some(TaskMode::Once) {
        return Vec::new();
    }
    let changed = [
        ("mode", new.mode != old.mode),
        ("params", new.params != old.params),
        ("placement", new.placement != old.placement),
        ("template", new.template != old.template),
    ];
    let forbid = |(name, _)| {
        let detail = "field is immutable once the Task has started; apply it under a new name";
        FieldError::forbidden(FieldPath::from("spec").child(name), detail)
    };
    changed.into_iter().filter(|(_, changed)| *changed).map(forbid).collect()
}

/// The key is made where the call arrives: no node is known there yet, so only parameters are.
fn check_key(at: FieldPath, key: &str, task: &Task, errors: &mut Vec<FieldError>) {
    if task.spec.mode == Some(TaskMode::Once) && task.spec.param_values.is_none() {
        errors.push(FieldError::forbidden(at, "only a Task of mode OnDemand is called"));
    } else if key.is_empty() || key.len() > MAX_KEY {
        let detail = format_args!("must have 1 to {MAX_KEY} bytes");
        errors.push(FieldError::invalid(at, key, detail));
    } else if let Err(UnknownName(name)) = substitute(key, |n| n.starts_with("params.").then(String::new)) {
        let detail = format_args!("$({name}) is not known when a call arrives; use $(params.x)");
        errors.push(FieldError::invalid(at, key, detail));
    } else {
        template::check_names(&at, key, &task.spec.params, errors);
    }
}

//! Task: its mode, its parameters, and what stays once it started.

use super::{Rules, params, placement, template};
use crate::kinds::Task;
use crate::kinds::task::TaskMode;
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
                errors.extend(found);
            }
        } else if spec.mode == Some(TaskMode::Once) && spec.params.iter().any(|p| p.required == Some(true)) {
            let detail =
                "a Once Task is called by nobody, so nobody can give its required params; use OnDemand";
            errors.push(FieldError::invalid(at.child("mode"), "Once", detail));
        }
        if let Some(key) = &spec.idempotency_key {
            template::check_names(&at.child("idempotencyKey"), key, &spec.params, errors);
        }
        if let Some(placement) = &spec.placement {
            placement::check(&at.child("placement"), placement, errors);
        }
        template::check(&at.child("template"), &spec.template, &spec.params, errors);
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        let started = old
            .status
            .as_ref()
            .is_some_and(|s| s.start_time.is_some() || s.active > 0 || s.succeeded > 0 || s.failed > 0);
        if old.spec.mode != Some(TaskMode::Once) || !started {
            return;
        }
        let changed = [
            ("mode", self.spec.mode != old.spec.mode),
            ("params", self.spec.params != old.spec.params),
            ("paramValues", self.spec.param_values != old.spec.param_values),
            ("placement", self.spec.placement != old.spec.placement),
            ("template", self.spec.template != old.spec.template),
        ];
        for (name, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            let detail = "field is immutable once the Task has started; apply it under a new name";
            errors.push(FieldError::forbidden(FieldPath::from("spec").child(name), detail));
        }
    }
}

//! Assignment and Run. Drover itself writes them, from workloads that were checked; what is checked here is that
//! they say whose and where.

use super::{Rules, names};
use crate::kinds::{Assignment, Run};
use crate::{FieldError, FieldPath, ObjectMeta};

impl Rules for Assignment {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let at = FieldPath::from("spec");
        let spec = &self.spec;
        names::check_subdomain(at.child("nodeName"), &spec.node_name, errors);
        names::check_subdomain(at.child("workloadRef").child("name"), &spec.workload_ref.name, errors);
        let set = [spec.timer.is_some(), spec.task.is_some(), spec.service.is_some()];
        if set.iter().filter(|s| **s).count() != 1 {
            errors.push(FieldError::required(at, "set exactly one of timer, task and service"));
        }
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        if self.spec.node_name != old.spec.node_name {
            let detail = "field is immutable; a workload moves by a new Assignment";
            errors.push(FieldError::forbidden("spec.nodeName".into(), detail));
        }
    }
}

impl Rules for Run {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        names::check_subdomain("spec.nodeName".into(), &self.spec.node_name, errors);
    }
}

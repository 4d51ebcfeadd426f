//! Assignment and Run. Drover itself writes them, from workloads that were checked; what is checked here is that
//! they say whose and where.

use super::{Rules, names};
use crate::kinds::assignment::WorkloadRef;
use crate::kinds::run::RunPhase;
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
        let set = [
            ("Timer", spec.timer.is_some()),
            ("Task", spec.task.is_some()),
            ("Service", spec.service.is_some()),
        ];
        let at_kind = at.child("workloadRef").child("kind");
        let kind = spec.workload_ref.kind.as_str();
        match set.iter().filter(|(_, set)| *set).collect::<Vec<_>>().as_slice() {
            [(one, _)] if *one != kind => {
                errors.push(FieldError::invalid(at_kind, kind, format_args!("the spec is that of a {one}")));
            }
            [_] => {}
            _ => errors.push(FieldError::required(at, "set exactly one of timer, task and service")),
        }
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        if self.spec.node_name != old.spec.node_name {
            let detail = "field is immutable; a workload moves by a new Assignment";
            errors.push(FieldError::forbidden("spec.nodeName".into(), detail));
        }
        let same =
            |a: &WorkloadRef, b: &WorkloadRef| (&a.kind, &a.name, &a.uid) == (&b.kind, &b.name, &b.uid);
        if !same(&self.spec.workload_ref, &old.spec.workload_ref) {
            let detail = "field is immutable but for generation; another workload has another Assignment";
            errors.push(FieldError::forbidden("spec.workloadRef".into(), detail));
        }
    }
}

impl Rules for Run {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        names::check_subdomain("spec.nodeName".into(), &self.spec.node_name, errors);
        if let Some(status) = &self.status
            && status.phase == RunPhase::Succeeded
            && status.exit_code != Some(0)
        {
            let detail = "nothing is Succeeded without exit code 0";
            errors.push(FieldError::required("status.exitCode".into(), detail));
        }
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        let (new, old) = (&self.spec, &old.spec);
        let changed = [
            ("nodeName", new.node_name != old.node_name),
            ("workloadRef", new.workload_ref != old.workload_ref),
            ("assignmentRef", new.assignment_ref != old.assignment_ref),
            ("trigger", new.trigger != old.trigger),
            ("attempt", new.attempt != old.attempt),
            ("replica", new.replica != old.replica),
        ];
        for (name, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            let detail = "field is immutable; another execution is another Run";
            errors.push(FieldError::forbidden(FieldPath::from("spec").child(name), detail));
        }
    }
}

//! Node, Namespace, Lease and Event.

use super::{Rules, bounds, names, placement};
use crate::kinds::core::{Event, Lease, Namespace, Node};
use crate::{FieldError, FieldPath, ObjectMeta};

impl Rules for Node {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let list = FieldPath::from("spec.taints");
        let few = bounds::fits(&list, self.spec.taints.len(), bounds::FEW, errors);
        for (i, taint) in self.spec.taints.iter().enumerate().filter(|_| few) {
            let at = list.index(i);
            names::check_label_key(at.child("key"), &taint.key, errors);
            if let Some(value) = &taint.value {
                names::check_label_value(at.child("value"), value, errors);
            }
            placement::check_effect(at.child("effect"), &taint.effect, errors);
            if self.spec.taints[..i].iter().any(|t| t.key == taint.key && t.effect == taint.effect) {
                errors.push(FieldError::duplicate(at, format!("{}:{}", taint.key, taint.effect)));
            }
        }
    }
}

impl Rules for Namespace {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, _: &mut Vec<FieldError>) {}
}

impl Rules for Lease {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        if let Some(seconds) = self.spec.lease_duration_seconds.filter(|s| *s <= 0) {
            errors.push(FieldError::invalid("spec.leaseDurationSeconds".into(), seconds, "must be above 0"));
        }
        if let Some(times) = self.spec.lease_transitions.filter(|t| *t < 0) {
            errors.push(FieldError::invalid("spec.leaseTransitions".into(), times, "must not be negative"));
        }
    }
}

impl Rules for Event {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        if !matches!(self.type_.as_str(), "" | "Normal" | "Warning") {
            errors.push(FieldError::not_supported(
                "type".into(),
                self.type_.as_str(),
                &["Normal", "Warning"],
            ));
        }
    }
}

//! Service: replicas and restarts.

use super::{Rules, bounds, placement, template};
use crate::kinds::Service;
use crate::{Duration, FieldError, FieldPath, ObjectMeta};

impl Rules for Service {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn fill_defaults(&mut self) {
        self.spec.replicas.get_or_insert(1);
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let at = FieldPath::from("spec");
        if let Some(replicas) = self.spec.replicas.filter(|r| *r > 1000) {
            errors.push(FieldError::invalid(at.child("replicas"), replicas, "must be at most 1000"));
        }
        if let Some(restart) = &self.spec.restart {
            let at = at.child("restart");
            for (name, wait) in [("backoff", restart.backoff), ("maxBackoff", restart.max_backoff)] {
                if wait.is_some_and(Duration::is_zero) {
                    // A process that cannot start would be started without a pause, for ever.
                    errors.push(FieldError::invalid(at.child(name), "0s", "must be above 0"));
                }
            }
            bounds::check_backoff(&at, restart.backoff, restart.max_backoff, Duration::from_secs(60), errors);
        }
        if let Some(placement) = &self.spec.placement {
            placement::check(&at.child("placement"), placement, &self.spec.template, errors);
        }
        let at = at.child("template");
        // A process kept running is started again by `restart`; an attempt that is retried would be a second rule.
        if self.spec.template.retry.is_some() {
            errors.push(FieldError::forbidden(at.child("retry"), "a Service has restart instead"));
        }
        template::check(&at, &self.spec.template, &[], errors);
    }
}

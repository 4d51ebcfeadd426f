//! NodePool: its selector, lanes and patience.

use super::{Rules, bounds, names};
use crate::kinds::NodePool;
use crate::{Duration, FieldError, FieldPath, ObjectMeta};

impl Rules for NodePool {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn fill_defaults(&mut self) {
        self.spec.offline_after.get_or_insert(Duration::from_secs(60));
        self.spec.priority.get_or_insert(0);
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let at = FieldPath::from("spec");
        names::check_selector(&at.child("nodeSelector"), &self.spec.node_selector, errors);
        let lanes = at.child("lanes");
        let few = bounds::fits(&lanes, self.spec.lanes.len(), bounds::LABELS, errors);
        for (lane, limit) in self.spec.lanes.iter().filter(|_| few) {
            let at = lanes.key(lane);
            if !names::is_dns_label(lane) {
                errors.push(FieldError::invalid(at.clone(), lane.as_str(), "must be a DNS-1123 label"));
            }
            if !(1..=10_000).contains(limit) {
                errors.push(FieldError::invalid(at, *limit, "must be from 1 to 10000"));
            }
        }
        if let Some(after) = self.spec.offline_after.filter(|a| *a < Duration::from_secs(1)) {
            errors.push(FieldError::invalid(
                at.child("offlineAfter"),
                after.to_string(),
                "must be at least 1s",
            ));
        }
    }
}

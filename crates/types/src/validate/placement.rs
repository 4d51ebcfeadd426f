//! Placement: operators and their values, counts, moving.

use crate::kinds::placement::{Operator, Placement, Requirement, Toleration, TolerationOperator};
use crate::kinds::template::Template;
use crate::validate::{bounds, names};
use crate::{Duration, FieldError, FieldPath};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// What a lease needs beyond the grace period: for two heartbeats to be missed, and for the killing.
const LEASE_MARGIN: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(10);

/// Checks a placement of what runs this template.
pub(crate) fn check(
    at: &FieldPath,
    placement: &Placement,
    template: &Template,
    errors: &mut Vec<FieldError>,
) {
    if let Some(name) = &placement.node_name {
        names::check_subdomain(at.child("nodeName"), name, errors);
    }
    names::check_selector(&at.child("nodeSelector"), &placement.node_selector, errors);
    let list = at.child("matchExpressions");
    if bounds::fits(&list, placement.match_expressions.len(), bounds::FEW, errors) {
        for (i, requirement) in placement.match_expressions.iter().enumerate() {
            check_requirement(&list.index(i), requirement, errors);
        }
    }
    if placement.count == Some(0) {
        errors.push(FieldError::invalid(
            at.child("count"),
            0,
            "must be at least 1; leave it out for every node",
        ));
    }
    if let Some(after) = placement.failover_after {
        let at = at.child("failoverAfter");
        let grace = template.process.termination_grace_period.unwrap_or(GRACE);
        let least = Duration::from_millis(grace.as_millis().saturating_add(LEASE_MARGIN.as_millis()));
        if placement.count.is_none() {
            errors.push(FieldError::forbidden(at, "only a workload with a count may move; set count"));
        } else if after < Duration::from_secs(30) {
            errors.push(FieldError::invalid(at, after.to_string(), "must be at least 30s"));
        } else if after < least {
            let detail = format_args!(
                "must be at least {least}: terminationGracePeriod and {LEASE_MARGIN}, so that all has ended here \
                 before it starts elsewhere"
            );
            errors.push(FieldError::invalid(at, after.to_string(), detail));
        }
    }
    let list = at.child("tolerations");
    if bounds::fits(&list, placement.tolerations.len(), bounds::FEW, errors) {
        for (i, toleration) in placement.tolerations.iter().enumerate() {
            check_toleration(&list.index(i), toleration, errors);
        }
    }
}

fn check_requirement(at: &FieldPath, requirement: &Requirement, errors: &mut Vec<FieldError>) {
    names::check_label_key(at.child("key"), &requirement.key, errors);
    let values = requirement.values.as_slice();
    let at = at.child("values");
    match (requirement.operator, values) {
        (Operator::In | Operator::NotIn, []) => {
            errors.push(FieldError::required(at, "In and NotIn need at least one value"));
        }
        (Operator::In | Operator::NotIn, values) => {
            if bounds::fits(&at, values.len(), bounds::VALUES, errors) {
                for (i, value) in values.iter().enumerate() {
                    names::check_label_value(at.index(i), value, errors);
                }
            }
        }
        (Operator::Exists | Operator::DoesNotExist, []) => {}
        (Operator::Exists | Operator::DoesNotExist, _) => {
            errors.push(FieldError::forbidden(at, "Exists and DoesNotExist take no values"));
        }
        (Operator::Gt | Operator::Lt, [one]) if one.parse::<i64>().is_ok() => {}
        (Operator::Gt | Operator::Lt, values) => {
            errors.push(FieldError::invalid(at, values.to_vec(), "Gt and Lt take exactly one integer"));
        }
    }
}

fn check_toleration(at: &FieldPath, toleration: &Toleration, errors: &mut Vec<FieldError>) {
    let exists = toleration.operator == Some(TolerationOperator::Exists);
    match &toleration.key {
        Some(key) => names::check_label_key(at.child("key"), key, errors),
        None if exists => {}
        None => errors.push(FieldError::required(at.child("key"), "only operator Exists goes without a key")),
    }
    match &toleration.value {
        Some(_) if exists => {
            errors.push(FieldError::forbidden(at.child("value"), "Exists takes no value"));
        }
        Some(value) => names::check_label_value(at.child("value"), value, errors),
        None => {}
    }
    if let Some(effect) = toleration.effect.as_deref().filter(|e| !EFFECTS.contains(e)) {
        errors.push(FieldError::not_supported(at.child("effect"), effect, &EFFECTS));
    }
}

pub(crate) fn check_effect(at: FieldPath, effect: &str, errors: &mut Vec<FieldError>) {
    if !EFFECTS.contains(&effect) {
        errors.push(FieldError::not_supported(at, effect, &EFFECTS));
    }
}

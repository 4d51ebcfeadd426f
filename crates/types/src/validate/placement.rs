//! Placement: operators and their values, counts, moving.

use crate::kinds::placement::{Operator, Placement, TolerationOperator};
use crate::validate::names;
use crate::{Duration, FieldError, FieldPath};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(crate) fn check(at: &FieldPath, placement: &Placement, errors: &mut Vec<FieldError>) {
    if let Some(name) = &placement.node_name {
        names::check_subdomain(at.child("nodeName"), name, errors);
    }
    for (key, value) in &placement.node_selector {
        let at = at.child("nodeSelector").key(key);
        names::check_label_key(at.clone(), key, errors);
        names::check_label_value(at, value, errors);
    }
    for (i, requirement) in placement.match_expressions.iter().enumerate() {
        let at = at.child("matchExpressions").index(i);
        names::check_label_key(at.child("key"), &requirement.key, errors);
        let values = &requirement.values;
        let at = at.child("values");
        match requirement.operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                errors.push(FieldError::required(at, "In and NotIn need at least one value"));
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                errors.push(FieldError::forbidden(at, "Exists and DoesNotExist take no values"));
            }
            Operator::Gt | Operator::Lt => match values.as_slice() {
                [one] if one.parse::<i64>().is_ok() => {}
                _ => {
                    let detail = "Gt and Lt take exactly one integer";
                    errors.push(FieldError::invalid(at, values.clone(), detail));
                }
            },
            Operator::In | Operator::NotIn | Operator::Exists | Operator::DoesNotExist => {}
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
        if placement.count.is_none() {
            errors.push(FieldError::forbidden(at, "only a workload with a count may move; set count"));
        } else if after < Duration::from_secs(30) {
            errors.push(FieldError::invalid(at, after.to_string(), "must be at least 30s"));
        }
    }
    for (i, toleration) in placement.tolerations.iter().enumerate() {
        let at = at.child("tolerations").index(i);
        match &toleration.key {
            Some(key) => names::check_label_key(at.child("key"), key, errors),
            None if toleration.operator != Some(TolerationOperator::Exists) => {
                errors.push(FieldError::invalid(
                    at.child("operator"),
                    "Equal",
                    "must be Exists when key is absent",
                ));
            }
            None => {}
        }
        if toleration.operator == Some(TolerationOperator::Exists) && toleration.value.is_some() {
            errors.push(FieldError::forbidden(at.child("value"), "Exists takes no value"));
        }
        if let Some(effect) = toleration.effect.as_deref().filter(|e| !EFFECTS.contains(e)) {
            errors.push(FieldError::not_supported(at.child("effect"), effect, &EFFECTS));
        }
    }
}

pub(crate) fn check_effect(at: FieldPath, effect: &str, errors: &mut Vec<FieldError>) {
    if !EFFECTS.contains(&effect) {
        errors.push(FieldError::not_supported(at, effect, &EFFECTS));
    }
}

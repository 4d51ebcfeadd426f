//! What a Namespace's status says, also while it goes.

use drover_types::kinds::Namespace;
use drover_types::kinds::core::NamespaceStatus;
use drover_types::{Condition, ConditionStatus};
use jiff::Timestamp;

use super::node::READY;

/// The condition that says what a terminating namespace still waits for.
pub const CONTENT_REMAINING: &str = "NamespaceContentRemaining";
/// The finalizer in spec that stands for the namespace's content.
pub const FINALIZER: &str = "kubernetes";

/// The status of a namespace in which `remaining` objects, counted by resource, are left to go. What is there while
/// the namespace is not going does not matter and need not be counted.
pub fn status(namespace: &Namespace, remaining: &[(&str, u32)], now: Timestamp) -> NamespaceStatus {
    let going = namespace.metadata.deletion_timestamp.is_some();
    let mut status = namespace.status.clone().unwrap_or_default();
    status.observed_generation = namespace.metadata.generation.unwrap_or(0);
    let mut say = |type_: &str, holds: bool, reason: &str, message: String| {
        let next = Condition {
            type_: type_.into(),
            status: if holds { ConditionStatus::True } else { ConditionStatus::False },
            observed_generation: namespace.metadata.generation,
            last_transition_time: now,
            reason: reason.into(),
            message,
        };
        Condition::set(&mut status.conditions, next);
    };
    say(READY, !going, if going { "Terminating" } else { "Active" }, String::new());
    if going {
        let left: Vec<String> = remaining
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(resource, count)| format!("{count} {resource}"))
            .collect();
        let reason = if left.is_empty() { "ContentRemoved" } else { "SomeResourcesRemain" };
        let message = if left.is_empty() { String::new() } else { format!("Left: {}.", left.join(", ")) };
        say(CONTENT_REMAINING, !left.is_empty(), reason, message);
    }
    status
}

/// The finalizers of spec that are left once the content is gone.
pub fn without_content(namespace: &Namespace) -> Vec<String> {
    namespace.spec.finalizers.iter().filter(|f| *f != FINALIZER).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::{at, meta};
    use drover_types::kinds::core::NamespaceSpec;

    #[test]
    fn a_namespace_is_ready_until_it_goes_and_then_says_what_it_waits_for() {
        let spec = NamespaceSpec { finalizers: vec![FINALIZER.into(), "a.b/c".into()] };
        let (api_version, kind) = ("v1".into(), "Namespace".into());
        let mut n = Namespace { api_version, kind, metadata: meta("n"), spec, status: None };
        let status_of = |n: &Namespace, left: &[(&str, u32)], second| status(n, left, at(second));
        n.status = Some(status_of(&n, &[], 0));
        assert_eq!(status_of(&n, &[("runs", 3)], 9), n.status.clone().unwrap(), "it is said once");
        n.metadata.deletion_timestamp = Some(at(10));
        let going = status_of(&n, &[("assignments", 2), ("runs", 0)], 10);
        assert_eq!(going.conditions[0].status, ConditionStatus::False);
        assert_eq!(going.conditions[1].message, "Left: 2 assignments.");
        n.status = Some(going);
        assert_eq!(status_of(&n, &[], 11).conditions[1].status, ConditionStatus::False);
        assert_eq!(without_content(&n), ["a.b/c"]);
    }
}

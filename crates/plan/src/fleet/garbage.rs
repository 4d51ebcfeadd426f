//! What goes because what it belonged to is gone: dependents of deleted owners, and the finalizer of an
//! Assignment whose Node will never report again.
//!
//! Absent: the content of a terminating namespace, which goes whatever it is.

use drover_types::kinds::assignment::FINALIZER;
use drover_types::kinds::{Assignment, Node};
use drover_types::{ObjectMeta, OwnerReference};

use super::assignment::is_for;

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerState<'a> {
    /// An object of its kind and name exists and has this uid.
    Is(&'a str),
    /// A complete look found no object of its kind and name.
    Gone,
    /// Its kind is not watched, or not all of it was seen yet.
    NotKnown,
}

/// Whether an object goes because it has owners and every one of them is gone. An owner of the same name with
/// another uid is another object; one that nobody looked for counts as there.
pub fn is_orphan<'a>(object: &ObjectMeta, look: impl Fn(&OwnerReference) -> OwnerState<'a>) -> bool {
    let gone = |owner: &OwnerReference| match look(owner) {
        OwnerState::Is(uid) => uid != owner.uid,
        OwnerState::Gone => true,
        OwnerState::NotKnown => false,
    };
    object.deletion_timestamp.is_none()
        && !object.owner_references.is_empty()
        && object.owner_references.iter().all(gone)
}

/// The finalizers that a deleted Assignment keeps once its Node is deleted; `None`: nothing is to be done. `node`
/// is the Node that now has the name, if any.
pub fn release(assignment: &Assignment, node: Option<&Node>) -> Option<Vec<String>> {
    let held = &assignment.metadata.finalizers;
    let waits = assignment.metadata.deletion_timestamp.is_some() && held.iter().any(|f| f == FINALIZER);
    let hosted = node.is_some_and(|n| is_for(assignment, n));
    (waits && !hosted).then(|| held.iter().filter(|f| *f != FINALIZER).cloned().collect())
}

/// The finalizer of an object whose dependents go before it does.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object whose dependents are to forget it and stay.
pub const ORPHAN: &str = "orphan";

/// What a deleted object still asks for before it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// Nothing that concerns its dependents.
    Free,
    /// Its dependents are to be deleted, and it waits for those that say so.
    Foreground,
    /// Its dependents are to lose it as an owner, and it waits for that.
    Orphan,
}

/// Decides how a deleted object goes. To keep dependents is the safer of two contradicting wishes.
pub fn going(object: &ObjectMeta) -> Going {
    let asks = |finalizer: &str| object.finalizers.iter().any(|f| f == finalizer);
    match object.deletion_timestamp {
        None => Going::Free,
        Some(_) if asks(ORPHAN) => Going::Orphan,
        Some(_) if asks(FOREGROUND) => Going::Foreground,
        Some(_) => Going::Free,
    }
}

/// Whether a foreground deletion of the owner with this uid waits for an object.
pub fn blocks(dependent: &ObjectMeta, owner_uid: &str) -> bool {
    dependent.owner_references.iter().any(|o| o.uid == owner_uid && o.block_owner_deletion == Some(true))
}

/// The owners of an object without the one of this uid; `None`: it is none of them.
pub fn disown(dependent: &ObjectMeta, owner_uid: &str) -> Option<Vec<OwnerReference>> {
    let owners = &dependent.owner_references;
    owners
        .iter()
        .any(|o| o.uid == owner_uid)
        .then(|| owners.iter().filter(|o| o.uid != owner_uid).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::assignment::{Workload, build};
    use crate::fleet::fixtures::{at, ready_node, service};

    #[test]
    fn an_object_goes_only_when_every_owner_is_surely_gone() {
        let mut a = build(Workload::Service(&service("web")), &ready_node("n"), None).metadata;
        let mut other = a.owner_references[0].clone();
        other.name = "other".into();
        a.owner_references.push(other);
        assert!(is_orphan(&a, |_| OwnerState::Gone));
        assert!(is_orphan(&a, |_| OwnerState::Is("a later object of that name")));
        assert!(!is_orphan(&a, |o| if o.name == "web" { OwnerState::Gone } else { OwnerState::NotKnown }));
        assert!(!is_orphan(&a, |o| if o.name == "web" {
            OwnerState::Gone
        } else {
            OwnerState::Is("uid-web")
        }));
        a.owner_references.clear();
        assert!(!is_orphan(&a, |_| OwnerState::Gone));
    }

    #[test]
    fn an_orphan_keeps_its_other_owners_and_a_contradiction_keeps_dependents() {
        let mut a = build(Workload::Service(&service("web")), &ready_node("n"), None).metadata;
        assert!(blocks(&a, "uid-web") && !blocks(&a, "uid-other"));
        assert_eq!(disown(&a, "uid-other"), None);
        assert_eq!(disown(&a, "uid-web"), Some(vec![]));
        a.finalizers = vec![FOREGROUND.into(), ORPHAN.into()];
        assert_eq!(going(&a), Going::Free);
        a.deletion_timestamp = Some(at(0));
        assert_eq!(going(&a), Going::Orphan);
        a.finalizers.pop();
        assert_eq!(going(&a), Going::Foreground);
    }

    #[test]
    fn a_deleted_assignment_waits_for_its_node_and_for_no_namesake() {
        let mut node = ready_node("n");
        let mut a = build(Workload::Service(&service("web")), &node, None);
        a.metadata.finalizers.push("other/keeper".into());
        assert_eq!(release(&a, None), None);
        a.metadata.deletion_timestamp = Some(at(0));
        assert_eq!(release(&a, Some(&node)), None);
        assert_eq!(release(&a, None), Some(vec!["other/keeper".to_owned()]));
        node.metadata.uid = "reborn".into();
        assert_eq!(release(&a, Some(&node)), Some(vec!["other/keeper".to_owned()]));
    }
}

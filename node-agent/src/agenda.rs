//! What is to be planned again when a clock reaches a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// By uid, on one clock.
pub(crate) struct Agenda<T> {
    at: BTreeMap<Arc<str>, T>,
    order: BTreeSet<(T, Arc<str>)>,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { at: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> Agenda<T> {
    /// Puts it down for this time and no other, or for none.
    pub(crate) fn set(&mut self, uid: &Arc<str>, at: Option<T>) {
        if self.get(uid) == at {
            return;
        }
        let before = match at {
            Some(at) => {
                self.order.insert((at, Arc::clone(uid)));
                self.at.insert(Arc::clone(uid), at)
            }
            None => self.at.remove(uid),
        };
        if let Some(before) = before {
            self.order.remove(&(before, Arc::clone(uid)));
        }
    }

    /// The first time that anything is down for.
    pub(crate) fn first(&self) -> Option<T> {
        self.order.first().map(|(at, _)| *at)
    }

    /// All that is down for this time, or an earlier one.
    pub(crate) fn due(&self, now: T) -> impl Iterator<Item = &str> {
        self.order.iter().take_while(move |(at, _)| *at <= now).map(|(_, uid)| &**uid)
    }

    /// Whether it is down for a time.
    pub(crate) fn get(&self, uid: &str) -> Option<T> {
        self.at.get(uid).copied()
    }

    /// All that is down for any time.
    pub(crate) fn uids(&self) -> impl Iterator<Item = &str> {
        self.at.keys().map(|uid| &**uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_due_is_what_was_put_down_last_for_then_or_before(
            puts in proptest::collection::vec((0..8_u8, proptest::option::of(0..20_u32)), 0..60), now in 0..25_u32,
        ) {
            let (mut agenda, mut model) = (Agenda::default(), BTreeMap::new());
            for (uid, at) in puts {
                let uid = format!("u{uid}");
                agenda.set(&uid.as_str().into(), at);
                match at {
                    Some(at) => model.insert(uid, at),
                    None => model.remove(&uid),
                };
            }
            prop_assert_eq!(agenda.first(), model.values().min().copied());
            let mut due: Vec<&str> = agenda.due(now).collect();
            due.sort_unstable();
            let expected: Vec<&str> =
                model.iter().filter(|(_, at)| **at <= now).map(|(uid, _)| uid.as_str()).collect();
            prop_assert_eq!(due, expected);
            prop_assert_eq!(agenda.uids().count(), model.len());
            prop_assert!(model.iter().all(|(uid, at)| agenda.get(uid) == Some(*at)));
        }
    }
}

//! What was acknowledged is in the store after any crash, and a store that is opened again goes on from where it was.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Breach, Law, Scene};
use crate::step::{Answer, Event, Step};

/// What every caller may rely on: all that an observer of the store was shown.
#[derive(Default)]
pub(super) struct Acknowledged {
    revision: u64,
    keys: BTreeMap<Bytes, (u64, Bytes)>,
}

impl Acknowledged {
    fn opened(&mut self, revision: u64, items: &[(Bytes, u64, Bytes)]) -> Result<(), Breach> {
        if revision < self.revision {
            return Err(format!("the store was at revision {} and is opened at {revision}", self.revision));
        }
        let found: BTreeMap<&Bytes, (u64, &Bytes)> =
            items.iter().map(|(key, at, value)| (key, (*at, value))).collect();
        for (key, (at, value)) in &self.keys {
            let name = String::from_utf8_lossy(key);
            match found.get(key) {
                // Changed by what was written and not yet answered.
                Some((now, _)) if *now > self.revision => {}
                Some((now, held)) if now == at && *held == value => {}
                Some((now, _)) => return Err(format!("{name} was at {at}, and is another at {now}")),
                None if revision > self.revision => {}
                None => return Err(format!("{name}, at {at}, is gone")),
            }
        }
        for (key, (at, _)) in &found {
            if *at <= self.revision && !self.keys.contains_key(*key) {
                let name = String::from_utf8_lossy(key);
                return Err(format!("{name}, at {at}, is there, and was deleted or never written"));
            }
        }
        self.revision = revision;
        self.keys = items.iter().map(|(key, at, value)| (key.clone(), (*at, value.clone()))).collect();
        Ok(())
    }
}

impl Law for Acknowledged {
    fn name(&self) -> &'static str {
        "what_was_acknowledged_is_in_the_store_after_any_crash"
    }

    fn on(&mut self, step: &Step, _: &Scene) -> Result<(), Breach> {
        match &step.event {
            Event::Stored { revision, key, value } => {
                if *revision < self.revision {
                    return Err(format!("revision {revision} came after {}", self.revision));
                }
                self.revision = *revision;
                match value {
                    Some(value) => self.keys.insert(key.clone(), (*revision, value.clone())),
                    None => self.keys.remove(key),
                };
                Ok(())
            }
            Event::Opened { revision, items } => self.opened(*revision, items),
            Event::Answered(call, Answer::Done(Some(revision))) if *revision > self.revision => Err(format!(
                "call #{} was answered with revision {revision}, and the store is at {}",
                call.id, self.revision
            )),
            _ => Ok(()),
        }
    }
}

//! A list is what the store was at its revision.

use std::collections::{BTreeMap, VecDeque};

use super::watches::prefix_of;
use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// Changes that are kept: a list is of a revision of a moment ago.
const KEPT: usize = 20_000;

/// What the store was at one revision, and its changes since. Names are keys without `/registry/`.
#[derive(Default)]
pub(super) struct Lists {
    at: u64,
    then: BTreeMap<String, u64>,
    since: VecDeque<(u64, String, bool)>,
}

fn name_of(key: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(key).ok()?.strip_prefix("/registry/")?.to_owned())
}

fn change(all: &mut BTreeMap<String, u64>, (revision, name, there): &(u64, String, bool)) {
    if *there {
        all.insert(name.clone(), *revision);
    } else {
        all.remove(name);
    }
}

impl Lists {
    fn check(&self, path: &str, revision: u64, items: &[(String, u64)]) -> Result<(), Breach> {
        if revision < self.at {
            return Ok(());
        }
        let prefix = prefix_of(path);
        let within = |name: &str| name.starts_with(&prefix);
        let then = self.then.range(prefix.clone()..).take_while(|(name, _)| within(name));
        let mut all: BTreeMap<String, u64> = then.map(|(name, at)| (name.clone(), *at)).collect();
        for held in self.since.iter().filter(|(at, name, _)| *at <= revision && within(name)) {
            change(&mut all, held);
        }
        for (name, at) in items {
            match all.remove(&format!("{prefix}{name}")) {
                Some(held) if held == *at => {}
                Some(held) => {
                    return Err(format!("{path} at {revision} has {name} of {at}, and it was of {held}"));
                }
                None => return Err(format!("{path} at {revision} has {name} of {at}, which was not there")),
            }
        }
        match all.first_key_value() {
            Some((name, at)) => Err(format!("{path} at {revision} lacks {name} of {at}")),
            None => Ok(()),
        }
    }
}

impl Law for Lists {
    fn name(&self) -> &'static str {
        "a_list_is_what_the_store_was_at_its_revision"
    }

    fn on(&mut self, step: &Step, _: &Scene) -> Result<(), Breach> {
        match &step.event {
            Event::Stored { revision, key, value } => {
                if let Some(name) = name_of(key) {
                    self.since.push_back((*revision, name, value.is_some()));
                }
                while self.since.len() > KEPT
                    && let Some(oldest) = self.since.pop_front()
                {
                    change(&mut self.then, &oldest);
                    self.at = oldest.0;
                }
                Ok(())
            }
            Event::Opened { revision, items } => {
                let all = items.iter().filter_map(|(key, at, _)| Some((name_of(key)?, *at)));
                *self = Self { at: *revision, then: all.collect(), since: VecDeque::new() };
                Ok(())
            }
            Event::Listed { path, revision, items } | Event::Read { path, revision, items } => {
                self.check(path, *revision, items)
            }
            _ => Ok(()),
        }
    }
}

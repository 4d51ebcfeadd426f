//! A watch has no gap, no duplicate and a rising revision; it resumes, or is told that it cannot.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// What is still on its way at the end of a run may have been stored so long ago.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// A change that the witness is to be told of: revision, name, whether it is a deletion, and when it was stored.
type Told = (u64, String, bool, Duration);

/// One collection: what was committed to it that the witness has not been told of yet.
#[derive(Default)]
struct Collection {
    begun: bool,
    told: u64,
    ahead: VecDeque<Told>,
    /// What a crash kept that nobody was shown before it: changes in `(from, to]` are not known one by one.
    unknown: Vec<(u64, u64)>,
}

/// By the prefix of their keys.
#[derive(Default)]
pub(super) struct Watches {
    collections: BTreeMap<String, Collection>,
    revision: u64,
    now: Duration,
}

/// `/apis/drover.dev/v1/runs` lies under `drover.dev/runs/`.
pub(super) fn prefix_of(path: &str) -> String {
    let plural = path.rsplit('/').next().unwrap_or_default();
    let group = if path.starts_with("/api/") { "core" } else { "drover.dev" };
    format!("{group}/{plural}/")
}

impl Collection {
    fn is_unknown(&self, revision: u64) -> bool {
        self.unknown.iter().any(|(from, to)| (from + 1..=*to).contains(&revision))
    }

    fn up_to(&mut self, revision: u64) -> Option<Told> {
        let first = self.ahead.front()?;
        if first.0 <= revision { self.ahead.pop_front() } else { None }
    }

    fn change(&mut self, name: &str, revision: u64, deleted: bool) -> Result<(), Breach> {
        if revision <= self.told {
            return Err(format!("{name} at {revision} was told after {}", self.told));
        }
        self.told = revision;
        if self.is_unknown(revision) {
            return Ok(());
        }
        match self.up_to(revision) {
            Some((at, held, gone, _)) if at == revision && held == name && gone == deleted => Ok(()),
            Some((at, held, ..)) => {
                Err(format!("{held} at {at} was passed over, {name} at {revision} was told"))
            }
            None => Err(format!("{name} at {revision} was told, and was never stored")),
        }
    }

    fn bookmark(&mut self, revision: u64) -> Result<(), Breach> {
        if revision < self.told {
            return Err(format!("a bookmark at {revision} came after {}", self.told));
        }
        self.told = revision;
        match self.up_to(revision) {
            Some((at, name, ..)) => {
                Err(format!("{name} at {at} was passed over by a bookmark at {revision}"))
            }
            None => Ok(()),
        }
    }
}

impl Law for Watches {
    fn name(&self) -> &'static str {
        "a_watch_has_no_gap_no_duplicate_and_a_rising_revision"
    }

    fn on(&mut self, step: &Step, _: &Scene) -> Result<(), Breach> {
        self.now = step.at;
        match &step.event {
            Event::Stored { revision, key, value } => {
                self.revision = *revision;
                let Some(key) = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix("/registry/"))
                else {
                    return Ok(());
                };
                let mut parts = key.splitn(3, '/');
                let (Some(group), Some(plural), Some(name)) = (parts.next(), parts.next(), parts.next())
                else {
                    return Ok(());
                };
                if let Some(collection) = self.collections.get_mut(&format!("{group}/{plural}/"))
                    && collection.begun
                {
                    collection.ahead.push_back((*revision, name.to_owned(), value.is_none(), step.at));
                }
                Ok(())
            }
            Event::Opened { revision, .. } => {
                let from = self.revision;
                self.revision = *revision;
                if from < *revision {
                    for collection in self.collections.values_mut() {
                        collection.unknown.push((from, *revision));
                    }
                }
                Ok(())
            }
            Event::Listed { path, revision, .. } => {
                let collection = self.collections.entry(prefix_of(path)).or_default();
                if *revision < collection.told {
                    return Err(format!("{path} was listed at {revision} after {}", collection.told));
                }
                collection.begun = true;
                collection.told = *revision;
                while collection.up_to(*revision).is_some() {}
                Ok(())
            }
            Event::Watched { path, kind, name, revision } => {
                let collection = self.collections.entry(prefix_of(path)).or_default();
                match *kind {
                    "BOOKMARK" => collection.bookmark(*revision),
                    kind => collection.change(name, *revision, kind == "DELETED"),
                }
                .map_err(|what| format!("{path}: {what}"))
            }
            _ => Ok(()),
        }
    }

    /// After a quiet time nothing is left that the witness was not told of.
    fn at_end(&mut self, _: &Scene) -> Result<(), Breach> {
        for (prefix, collection) in &self.collections {
            if let Some((at, name, _, stored)) = collection.ahead.front()
                && self.now.saturating_sub(*stored) > ON_ITS_WAY
            {
                return Err(format!("{prefix}{name} at {at} was never told"));
            }
        }
        Ok(())
    }
}

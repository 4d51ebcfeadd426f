//! When the server last heard of this node: where every lease begins.
//!
//! On disk is an earlier time than in memory, never a later one, and none of another boot: after a restart a lease is
//! shorter than it might be, and never longer.

use std::time::Duration;

use crate::agent::Agent;
use crate::ledger::{Change, Heard};

impl Agent {
    pub(crate) fn heard(&mut self, at: Duration) {
        if self.heard.is_some_and(|held| held >= at) {
            return;
        }
        self.heard = Some(at);
        let leased = self.desired.values().filter_map(|held| Some((held, held.spec.lease?.to_std())));
        let Some(shortest) = leased.clone().map(|(_, lease)| lease).min() else { return };
        let uids: Vec<String> = leased.map(|(held, _)| held.metadata.uid.clone()).collect();
        self.dirty.extend(uids.iter().cloned());
        self.changed.extend(uids);
        // Not at every heartbeat: a sixth of a lease lost to a restart leaves enough of it.
        let stored = self.journal.ledger().heard.as_ref();
        let stored = stored.filter(|heard| heard.boot_id == self.config.boot_id);
        let stored = stored.map(|heard| Duration::from_millis(heard.at_ms));
        if stored.is_none_or(|stored| at.saturating_sub(stored) >= shortest / 6) {
            let at_ms = u64::try_from(at.as_millis()).unwrap_or(0);
            self.stage(Change::Heard(Heard { boot_id: self.config.boot_id.clone(), at_ms }));
        }
    }
}

//! When the server last heard of this node: where every lease begins.
//!
//! On disk is an earlier time than in memory, never a later one, and none of another boot: after a restart a lease is
//! shorter than it might be, and never longer.

use std::time::Duration;

use drover_plan::node::run::Rules;
use drover_spawn::Leash;
use drover_spawn::process::{Signal, signal_named};

use crate::agent::Agent;
use crate::ledger::{Change, Claim, Heard};

/// Where keepers read when the server last heard of this node.
const FILE: &str = "heard";

impl Agent {
    /// What a keeper of this execution needs to know to end it in time by itself; none where it never moves.
    pub(crate) fn leash(&self, claim: &Claim) -> Option<Leash> {
        let length = *self.desired.leased().get(claim.assignment_uid.as_str())?;
        let process = &claim.template.process;
        let signal = process.termination_signal.as_deref().and_then(signal_named).unwrap_or(Signal::TERM);
        Some(Leash {
            file: self.config.data_dir.join(FILE),
            boot_id: self.config.boot_id.clone(),
            heard_ms: self.heard.map_or(0, millis),
            length_ms: millis(length),
            grace_ms: millis(Rules::of(&claim.template).grace),
            signal: signal.as_raw(),
        })
    }

    fn tell_keepers(&self, at: Duration) {
        let line = drover_spawn::leash::line(&self.config.boot_id, millis(at));
        let written = self.disk.write_atomic(&self.config.data_dir.join(FILE), line.as_bytes(), 0o600);
        if let Err(error) = written {
            // They end what has a lease when the one that they know of ends: too early, and never too late.
            tracing::error!(%error, "keepers cannot be told that leases go on");
        }
    }

    pub(crate) fn heard(&mut self, at: Duration) {
        if self.heard.is_some_and(|held| held >= at) {
            return;
        }
        self.heard = Some(at);
        let leased = self.desired.leased();
        let Some(shortest) = leased.values().min().copied() else { return };
        let uids: Vec<String> = leased.keys().map(|uid| (**uid).to_owned()).collect();
        self.tell_keepers(at);
        self.dirty.extend(uids.iter().cloned());
        self.changed.extend(uids);
        // Not at every heartbeat: a sixth of a lease lost to a restart leaves enough of it.
        let stored = self.journal.ledger().heard.as_ref();
        let stored = stored.filter(|heard| heard.boot_id == self.config.boot_id);
        let stored = stored.map(|heard| Duration::from_millis(heard.at_ms));
        if stored.is_none_or(|stored| at.saturating_sub(stored) >= shortest / 6) {
            self.stage(Change::Heard(Heard { boot_id: self.config.boot_id.clone(), at_ms: millis(at) }));
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0)
}

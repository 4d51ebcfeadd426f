//! The beginning of a session: who of the two has forgotten what, and what is told again because of it.

use drover_types::kinds::run::RunPhase;
use drover_wire::{Accepted, MAX_AGENT_EPOCH};

use crate::agent::Agent;
use crate::handle::AgentError;
use crate::ledger::Change;
use crate::report;

/// What to do about a server whose store is older than what this node knows of it.
pub(crate) const WENT_BACK: &str = "the server runs on an older copy of its data that was not made by `drover restore`, \
                                    which nodes refuse lest they run anything twice: restore a backup, or make one of \
                                    the copy with `drover backup --data-dir` and restore that";

impl Agent {
    /// A session has begun, with a server that has stored reports up to `accepted`. One with another store than before is
    /// told everything again; one that went back to an earlier state of the same store is refused.
    pub(crate) fn welcomed(&mut self, store_epoch: &str, accepted: Accepted) -> Result<(), AgentError> {
        let ledger = self.journal.ledger();
        let stored = (accepted.agent_epoch, accepted.sequence);
        let same = self.store_epoch.as_deref() == Some(store_epoch);
        if same && stored < ledger.acknowledged {
            return Err(AgentError::Refused(format!(
                "the server has forgotten reports that it acknowledged; {WENT_BACK}"
            )));
        }
        if accepted.agent_epoch > MAX_AGENT_EPOCH / 2 {
            // This agent would count on from there, and has to be able to for all of its life.
            return Err(AgentError::Refused(format!(
                "the server has reports of start {} of this agent, and none makes so many",
                accepted.agent_epoch
            )));
        }
        self.welcomed = true;
        if stored > (ledger.agent_epoch, ledger.sequence) {
            // The journal lost its end, or all of itself: numbers that were used once would not be believed again.
            self.stage(Change::Renumber(accepted.agent_epoch.saturating_add(1)));
        } else {
            self.stage(Change::Acknowledged(accepted.agent_epoch, accepted.sequence));
        }
        if !same {
            self.tell_all_again();
        }
        Ok(())
    }

    pub(crate) fn tell_all_again(&mut self) {
        self.said.clear();
        self.told.clear();
        self.ended.clear();
        self.changed.extend(self.desired.uids().map(|uid| (**uid).to_owned()));
        self.dirty.extend(self.desired.uids().map(|uid| (**uid).to_owned()));
        let ledger = self.journal.ledger();
        let live =
            self.live.iter().filter_map(|(uid, (_, started))| Some((ledger.claims.get(uid)?, started)));
        let again: Vec<Change> = live
            .map(|(claim, started)| {
                let state = drover_spawn::RunState::Started(started.clone());
                let status = report::observed(&state);
                debug_assert_eq!(status.phase, RunPhase::Running);
                report::run(claim, &self.config.node_name, status)
            })
            .collect();
        for change in again {
            self.stage(change);
        }
    }
}

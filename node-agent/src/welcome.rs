//! The beginning of a session: who of the two has forgotten what, and what is told again because of it.

use drover_types::kinds::run::RunPhase;
use drover_wire::Accepted;

use crate::agent::Agent;
use crate::ledger::Change;
use crate::report;

impl Agent {
    /// A session has begun, with a server that has stored reports up to `accepted`. One that is another than before, or
    /// went back to an earlier copy of itself, is told everything again.
    pub(crate) fn welcomed(&mut self, store_epoch: &str, accepted: Accepted) {
        self.welcomed = true;
        let ledger = self.journal.ledger();
        let stored = (accepted.agent_epoch, accepted.sequence);
        let went_back = stored < ledger.acknowledged;
        if stored > (ledger.agent_epoch, ledger.sequence) {
            // The journal lost its end, or all of itself: numbers that were used once would not be believed again.
            self.stage(Change::Renumber(accepted.agent_epoch.saturating_add(1)));
        } else {
            self.stage(Change::Acknowledged(accepted.agent_epoch, accepted.sequence));
        }
        if went_back || self.store_epoch.as_deref() != Some(store_epoch) {
            self.tell_all_again();
        }
    }

    fn tell_all_again(&mut self) {
        self.said.clear();
        self.told.clear();
        self.ended.clear();
        self.changed.extend(self.desired.keys().cloned());
        self.dirty.extend(self.desired.keys().cloned());
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

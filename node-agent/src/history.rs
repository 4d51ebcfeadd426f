//! What is let go: memories of Assignments that are gone, and output beyond the history limits.

use crate::agent::Agent;
use crate::ledger::{Change, Memory};

/// Runs kept of each sort where no limit is given.
const KEPT: usize = 3;

impl Agent {
    /// Drops what is remembered of an Assignment that is gone, once nothing of it runs.
    pub(crate) fn forget(&mut self, uid: &str) {
        let ledger = self.journal.ledger();
        if ledger.claims_of(uid).next().is_some() {
            return;
        }
        let Some(memory) = ledger.memories.get(uid).cloned() else { return };
        for (run_uid, _) in memory.finished {
            self.remove_dir(run_uid);
        }
        self.replicas.retain(|(of, _), _| *of != uid);
        self.said.remove(uid);
        self.ended.remove(uid);
        self.checked.remove(uid);
        self.stage(Change::Forget(uid.to_owned()));
    }

    /// Lets go of the output of runs beyond the history limits.
    pub(crate) fn trim_history(&mut self, uid: &str, memory: &mut Memory) {
        if self.lost {
            // The limits are not known.
            return;
        }
        let timer = self.desired.get(uid).and_then(|assignment| assignment.spec.timer.as_ref());
        let limit = |success| {
            let given = timer.and_then(|t| {
                if success { t.successful_runs_history_limit } else { t.failed_runs_history_limit }
            });
            given.map_or(KEPT, |n| n as usize)
        };
        let mut dropped = Vec::new();
        for success in [true, false] {
            let all = memory.finished.iter().filter(|(_, s)| *s == success).count();
            let mut over = all.saturating_sub(limit(success));
            memory.finished.retain(|(run_uid, s)| {
                if *s == success && over > 0 {
                    over -= 1;
                    dropped.push(run_uid.clone());
                    return false;
                }
                true
            });
        }
        for run_uid in dropped {
            self.remove_dir(run_uid);
        }
    }

    /// Its directory goes once what makes it needless is on disk: were it gone before that, the next start of an agent that
    /// was killed would take a run that has ended for one that never began.
    fn remove_dir(&mut self, run_uid: String) {
        self.needless.push(run_uid);
    }

    /// Removes what is needless. All that was decided is on disk. Should the agent be killed first, or a crash of the host
    /// bring some back, the next start sweeps it away: no sync for it.
    pub(crate) fn clear_away(&mut self) {
        for run_uid in std::mem::take(&mut self.needless) {
            let dir = self.run_dir(&run_uid);
            if let Err(error) = self.disk.discard_tree(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "a finished run's directory stays");
            }
        }
    }
}

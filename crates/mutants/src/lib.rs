//! Bugs put into the product on purpose, so that the simulation can show that it finds them.
//!
//! Each is one that somebody might really write, and one line at the place where it would be. Without the feature
//! `mutants` none is there: [`active`] is constantly false, and the compiler leaves nothing of it. With it, a thread
//! turns on one at a time, and only for itself: a simulation is one thread.

macro_rules! mutants {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// A bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[doc = $text])+ $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

mutants! {
    /// Store: SQLite does not wait for the disk before it says that a commit is durable.
    UnsyncedStore,
    /// Store: a watch that resumes begins one revision too late.
    LateResume,
    /// Store: what was deleted stays in the cache that lists are served from.
    StaleCache,
    /// Wire: of a desired state in several pieces, only the last counts.
    LostChunk,
    /// API server: reports are acknowledged also when the store did not take them.
    AckBeforeStore,
    /// API server: a node that comes back is taken to hold whatever is newest.
    ForgottenChange,
    /// Client: a local copy keeps what was deleted.
    IgnoredDeletion,
    /// Reconciler: a Node that changes wakes no workload, and nothing is looked at again from time to time.
    LostWakeUp,
    /// Plan: a tick is due only after its instant.
    MissedEdge,
    /// Plan: an Assignment is not brought to a new generation of its workload.
    IgnoredGeneration,
    /// Plan: what may still live on a node that it leaves does not occupy its place.
    ForgottenLeaving,
    /// Plan: a lease never ends.
    EndlessLease,
    /// Plan: what is found running after the agent's start holds no mutex.
    ForgottenMutex,
    /// Agent: the journal is written and not synced.
    UnsyncedJournal,
    /// Agent: a process starts before its claim is on disk.
    StartedBeforeClaimed,
    /// Agent: a report is forgotten once it is sent, before it is acknowledged.
    DroppedAck,
    /// Agent: the session is not told that there is something to report.
    LostBell,
    /// Agent: a tick looks only at first attempts to see whether an execution lives.
    ForbidSeesFirstAttempts,
    /// Agent: a run whose keeper was killed is taken to have ended well.
    AssumedExitCode,
    /// Agent: what ran before its start is not looked at.
    ForgottenClaims,
    /// Agent: a replica is started again while the one that is asked to end lives.
    EarlyReplacement,
}

/// Whether this bug is there.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn active(_: Mutant) -> bool {
    false
}

/// Whether this bug is there.
#[cfg(feature = "mutants")]
pub fn active(mutant: Mutant) -> bool {
    on::ACTIVE.get() == Some(mutant)
}

#[cfg(feature = "mutants")]
pub use on::with;

#[cfg(feature = "mutants")]
mod on {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        pub(super) static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Does `work` with this bug in it, as far as this thread does it.
    pub fn with<T>(mutant: Option<Mutant>, work: impl FnOnce() -> T) -> T {
        struct Reset(Option<Mutant>);
        impl Drop for Reset {
            fn drop(&mut self) {
                ACTIVE.set(self.0);
            }
        }
        let _reset = Reset(ACTIVE.replace(mutant));
        work()
    }
}

//! What a tick does while an earlier execution of its timer lives on the node.

use drover_types::kinds::timer::ConcurrencyPolicy;

/// The most ticks of one timer that wait for an earlier execution.
pub const MAX_QUEUED: usize = 100;

/// What becomes of a tick. An execution lives from its tick to the end of its last retry, waits included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It starts.
    Start,
    /// It starts, once the earlier executions have been ended.
    Replace,
    /// It waits for the earlier executions, in order.
    Queue,
    /// It is Skipped for this reason, and never caught up.
    Skip(&'static str),
}

/// Decides on a tick, given how many executions of its timer live and how many of its ticks wait.
pub fn decide(policy: ConcurrencyPolicy, live: usize, queued: usize) -> Verdict {
    match policy {
        ConcurrencyPolicy::Allow => Verdict::Start,
        _ if live == 0 && queued == 0 => Verdict::Start,
        ConcurrencyPolicy::Forbid => Verdict::Skip("ForbidConcurrent"),
        ConcurrencyPolicy::Replace => Verdict::Replace,
        ConcurrencyPolicy::Queue if queued < MAX_QUEUED => Verdict::Queue,
        ConcurrencyPolicy::Queue => Verdict::Skip("QueueFull"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However ticks and ends interleave: one at a time under every policy but Allow, and a bounded queue.
        #[test]
        fn executions_overlap_under_allow_only(ticks in proptest::collection::vec(any::<bool>(), 0..400), policy in 0..3_usize) {
            let policy = [ConcurrencyPolicy::Forbid, ConcurrencyPolicy::Replace, ConcurrencyPolicy::Queue][policy];
            let (mut live, mut queued) = (0_usize, 0_usize);
            for tick in ticks {
                if tick {
                    match decide(policy, live, queued) {
                        Verdict::Start => live += 1,
                        // What waited for the one that was replaced is replaced with it.
                        Verdict::Replace => { live = 1; queued = 0; }
                        Verdict::Queue => queued += 1,
                        Verdict::Skip(_) => prop_assert!(live > 0),
                    }
                } else if live > 0 {
                    live -= 1;
                    if queued > 0 { queued -= 1; live += 1; }
                }
                prop_assert!(live <= 1 && queued <= MAX_QUEUED);
            }
        }
    }

    #[test]
    fn allow_never_waits() {
        assert_eq!(decide(ConcurrencyPolicy::Allow, 1000, 0), Verdict::Start);
    }
}

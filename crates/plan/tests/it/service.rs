//! A replica that lives and dies in any way.

use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::service::{After, Replica, RestartRules, STEADY};
use drover_types::kinds::service::RestartPolicy;
use jiff::Timestamp;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each life: whether it ended with 0, how long it was up.
    #[test]
    fn waits_grow_up_to_their_bound_and_ten_minutes_up_begin_anew(
        policy in 0..3_usize, backoff in 0..100_000_u64, max in 0..200_000_u64,
        lives in prop::collection::vec((any::<bool>(), prop_oneof![0..10_u64, 500..700_u64, 0..100_000_u64]), 1..60),
    ) {
        let policy = [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never][policy];
        let rules = RestartRules {
            policy, backoff: Duration::from_millis(backoff), max_backoff: Duration::from_millis(max),
        };
        let mut replica = Replica::default();
        let mut now = Now { wall: Timestamp::UNIX_EPOCH, boottime: Duration::from_secs(9) };
        // The ends in a row, this one included.
        let (mut row, mut starts) = (0_u32, 0);
        for (success, up) in lives {
            let up = Duration::from_secs(up);
            now.boottime += up;
            let stays = match policy {
                RestartPolicy::Always => false,
                RestartPolicy::OnFailure => success,
                RestartPolicy::Never => true,
            };
            row = if up >= STEADY { 1 } else { row + 1 };
            match replica.ended(&rules, success, up, now) {
                After::Stay => {
                    prop_assert!(stays, "it is wanted");
                    break;
                }
                After::StartAt(at) => {
                    prop_assert!(!stays, "it is not wanted");
                    starts += 1;
                    let doublings = row.saturating_sub(2);
                    let grown = u64::try_from(u128::from(backoff) << doublings.min(60)).unwrap_or(u64::MAX);
                    let wait = if row == 1 { 0 } else { grown.min(max) };
                    prop_assert_eq!(at, now.boottime + Duration::from_millis(wait), "end {} in a row", row);
                    now.boottime = at;
                }
            }
            prop_assert_eq!(replica.restarts, starts);
        }
    }
}

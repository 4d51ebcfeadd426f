//! The same seed is the same history, and a handful of seeds breaks no law.

use std::time::Duration;

use drover_testkit::report;
use drover_testkit::run::{Outcome, Plan, run};
use drover_testkit::seed::Seed;

const MINUTE: Duration = Duration::from_secs(60);

fn plan(seed: u64, nodes: usize, minutes: u32) -> Plan {
    Plan { quiet: 30 * MINUTE, ..Plan::new(Seed(seed), nodes, minutes * MINUTE) }
}

fn whole(plan: &Plan) -> Outcome {
    let outcome = run(plan);
    if outcome.violation.is_some() {
        panic!("{}", report::failure(plan, &outcome, None));
    }
    outcome
}

#[test]
fn one_seed_is_one_history_to_the_last_byte() {
    let plan = Plan { keep: usize::MAX, ..plan(3, 3, 10) };
    let (one, other) = (whole(&plan), whole(&plan));
    assert!(one.steps > 500, "{} steps are no history", one.steps);
    assert_eq!(one.timeline.len() as u64, one.steps);
    for (one, other) in one.timeline.iter().zip(&other.timeline) {
        assert_eq!(one, other);
    }
    assert_eq!(one, other);
}

#[test]
fn another_seed_is_another_history() {
    assert_ne!(whole(&plan(1, 2, 5)).hash, whole(&plan(2, 2, 5)).hash);
}

#[test]
fn a_handful_of_seeds_with_faults_breaks_no_law() {
    for seed in 100..103 {
        whole(&plan(seed, 3, 10));
    }
}

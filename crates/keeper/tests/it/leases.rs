//! A keeper whose agent is dead, and a lease that nobody renews.

use drover_spawn::{Clocks, Leash};

use super::*;

fn leash(run: &Run) -> Leash {
    Leash {
        file: run.file("heard"),
        boot_id: "b".into(),
        heard_ms: u64::try_from(Clocks::now().boot_ns / 1_000_000).expect("a time"),
        // Asked at once, killed a second and a half later.
        length_ms: 3_500,
        grace_ms: 500,
        signal: 10,
    }
}

#[test]
fn what_may_run_elsewhere_is_asked_and_then_ended_without_an_agent() {
    let mut run =
        Run::shell("trap 'echo asked' USR1; trap '' TERM; sleep 600 & echo up; while :; do wait; done");
    run.spec.leash = Some(leash(&run));
    let exited = run.exited();
    assert_eq!(exited.outcome, Outcome::Signal(9));
    assert_eq!(run.text(), "up\nasked\n");
    assert_eq!(exited.left_behind, 0);
}

#[test]
fn what_ends_when_it_is_asked_keeps_its_exit_code() {
    let mut run = Run::shell("trap 'exit 5' USR1; echo up; while :; do sleep 0.1; done");
    run.spec.leash = Some(leash(&run));
    assert_eq!(run.exited().outcome, Outcome::Code(5));
}

//! The whole process tree of a run ends with it.

use super::*;
use drover_spawn::{Signal, cgroup};

/// A daemon: out of the session, away from its parent, deaf to polite signals. Writes its number.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$; while :; do sleep 600; done' & ";

#[test]
fn what_the_child_leaves_behind_is_ended_and_does_not_delay_the_code() {
    // The daemon says that it is there before the child ends.
    let daemon = DAEMON.replace("echo $$", "echo $$; touch up");
    let mut run = Run::shell(&format!("({daemon}); while ! [ -e up ]; do sleep 0.01; done; exit 5"));
    run.spec.working_dir = Some(run.path().to_owned());
    let exited = run.exited();
    assert_eq!(exited.outcome, Outcome::Code(5));
    assert!(exited.complete && exited.left_behind == 0, "{exited:?}");
    let daemon: i32 = run.text().trim().parse().expect("a number");
    assert!(!is_running(daemon));
}

#[test]
fn after_a_kill_of_the_keeper_ending_the_tree_leaves_nothing() {
    let run = Run::shell(&format!("({DAEMON}); sleep 600"));
    let mut keeper = run.start();
    let started = run.started(&keeper);
    let daemon: i32 = run.wait_for_line().trim().parse().expect("a number");
    assert!(started.keeper.signal(Signal::KILL).expect("kill"));
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    assert_eq!(keeper.reap().expect("reap"), Some(End::Killed));
    let found = keeper_process::find(run.path()).expect("find");
    assert!(!found.alive && found.state == RunState::Started(started.clone()), "{found:?}");
    let tree = Tree::of_run(&run.spec.run_uid, &found.state);
    let ended = tree.end().expect("end");
    assert!(ended.left.is_empty(), "{ended:?}");
    assert_eq!(tree.members().expect("scan"), []);
    assert!(!is_running(daemon) && !is_running(started.child.pid));
    assert_eq!(run.text().trim(), daemon.to_string(), "output up to then is kept");
}

#[test]
fn a_process_that_cleared_its_environment_is_found_by_the_pipe_it_writes_to() {
    let run = Run::shell("env -i sh -c 'echo $$; while :; do /bin/sleep 600; done' & wait");
    let keeper = run.start();
    let started = run.started(&keeper);
    let unmarked: i32 = run.wait_for_line().trim().parse().expect("a number");
    assert!(started.keeper.signal(Signal::KILL).expect("kill"));
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    // The child dies with its keeper, and its session then has no leader to know it by.
    wait_until(|| !is_running(started.child.pid));
    let ended = Tree::of_run(&run.spec.run_uid, &RunState::Started(started)).end().expect("end");
    assert!(ended.left.is_empty(), "{ended:?}");
    assert!(!is_running(unmarked));
}

#[test]
fn a_daemon_without_a_mark_is_found_by_its_cgroup() {
    let mut run =
        Run::shell("(env -i setsid sh -c 'echo $$; while :; do /bin/sleep 600; done' &); sleep 600");
    let Some(group) = cgroup::create(&run.spec.run_uid) else { return };
    run.spec.cgroup = Some(group.clone());
    let keeper = run.start();
    let started = run.started(&keeper);
    let daemon: i32 = run.wait_for_line().trim().parse().expect("a number");
    assert!(started.keeper.signal(Signal::KILL).expect("kill"));
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let ended = Tree::of_run(&run.spec.run_uid, &RunState::Started(started)).end().expect("end");
    assert!(ended.left.is_empty(), "{ended:?}");
    assert!(!is_running(daemon));
    assert!(!group.exists(), "the cgroup stayed");
}

#[test]
fn the_whole_tree_gets_a_signal_while_the_keeper_lives() {
    // The first one stays until it has the signal and the second one is gone: its end would have the second one killed.
    let run = Run::shell(
        "trap got=1 USR1; sh -c 'trap \"echo got; exit\" USR1; echo ready; while :; do sleep 0.01; done' & \
         until [ \"$got\" ] && ! kill -0 $! 2>/dev/null; do wait; done; exit 3",
    );
    let keeper = run.start();
    let started = run.started(&keeper);
    run.wait_for_line();
    let tree = Tree::of_run(&run.spec.run_uid, &RunState::Started(started));
    let members = tree.members().expect("scan");
    assert!(
        members.len() >= 2 && !members.iter().any(|m| m.pid.cast_unsigned() == keeper.pid()),
        "{members:?}"
    );
    assert!(tree.signal(Signal::USR1).expect("signal") >= 2);
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let RunState::Exited(_, exited) = state::read(run.path()).expect("state") else { panic!("no end") };
    assert_eq!(exited.outcome, Outcome::Code(3));
    assert_eq!(run.text(), "ready\ngot\n");
}

#[test]
fn orphans_that_end_do_not_pile_up() {
    let run = Run::shell("i=0; while [ $i -lt 50 ]; do i=$((i+1)); (true & ); done; echo done; sleep 600");
    let keeper = run.start();
    let started = run.started(&keeper);
    run.wait_for_line();
    let children = format!("/proc/{0}/task/{0}/children", keeper.pid());
    wait_until(|| {
        std::fs::read_to_string(&children).is_ok_and(|list| list.split_ascii_whitespace().count() == 1)
    });
    assert!(started.signal_main(Signal::TERM).expect("signal"));
    wait_for(&keeper.exit_fd().expect("a pidfd"));
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that cannot run here says why")]
fn case_17_ten_thousand_zombies_handed_to_the_keeper_are_reaped_and_cost_it_nothing() {
    const ZOMBIES: usize = 10_000;
    // It forks, does not wait, and becomes a program that does not either: its end makes the zombies the keeper's.
    let crowd =
        format!("for (1..{ZOMBIES}) {{ fork or exit }} $| = 1; print \"$$\\n\"; exec \"sleep\", \"600\"");
    if std::process::Command::new("perl").args(["-e", "1"]).status().is_err() {
        eprintln!("skipped: there is no perl to make zombies with");
        return;
    }
    let run = Run::shell(&format!("perl -e '{crowd}' & wait; echo over; exec sleep 600"));
    let keeper = run.start();
    let started = run.started(&keeper);
    let crowd: i32 = run.wait_for_line().trim().parse().expect("a number");
    let children = |pid: u32| {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_ascii_whitespace().count()
    };
    wait_until(|| children(crowd.cast_unsigned()) >= ZOMBIES);
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", keeper.pid())).expect("fds").count();
    let before = descriptors();
    let crowd = drover_spawn::ProcessId::of(crowd).expect("it lives");
    assert!(crowd.signal(Signal::KILL).expect("signal"));
    wait_until(|| run.text().ends_with("over\n"));
    wait_until(|| children(keeper.pid()) == 1);
    assert_eq!(descriptors(), before);
    assert!(started.signal_main(Signal::TERM).expect("signal"));
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let RunState::Exited(_, exited) = state::read(run.path()).expect("state") else { panic!("no end") };
    assert_eq!((exited.outcome, exited.left_behind), (Outcome::Signal(15), 0));
}

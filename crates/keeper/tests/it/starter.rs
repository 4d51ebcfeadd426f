//! Between the order and the word to go, and what becomes of it when somebody is killed there.

use super::*;
use std::fs;
use std::process::{Command, Stdio};

use drover_spawn::Signal;
use drover_spawn::starter::Ready;
use rustix::process::{Pid, kill_process};

const RUN_DIR: &str = "DROVER_TEST_RUN_DIR";

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
    kill_process(pid, Signal::KILL).expect("kill");
}

fn is_alive(run: &Run) -> bool {
    keeper_process::find(run.path()).expect("find").alive
}

/// Nothing of it is there but the empty state file, and it can be started.
fn is_as_if_it_had_never_been(run: &Run) {
    wait_until(|| !is_alive(run));
    let names: Vec<_> =
        fs::read_dir(run.path()).expect("list").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(names, [state::STATE_FILE]);
    assert_eq!(fs::metadata(run.file(state::STATE_FILE)).expect("metadata").len(), 0);
    assert_eq!(run.exited().outcome, Outcome::Code(0));
}

#[test]
fn nothing_runs_before_the_word_and_nothing_is_left_of_a_run_that_is_not_wanted() {
    let marks = tempfile::tempdir().expect("a directory");
    let mark = marks.path().join("ran");
    let run = Run::shell(&format!("echo x >> {}", mark.display()));
    let other = Run::of(&["true"]);
    let ready = starter().ready(run.path(), &run.spec).expect("ready");
    let again = starter().ready(run.path(), &run.spec);
    assert!(matches!(again, Err(SpawnError::KeeperAlive)), "{again:?}");
    // One that was ordered later is through.
    assert_eq!(other.exited().outcome, Outcome::Code(0));
    assert!(is_alive(&run) && !mark.exists());
    assert_eq!(state::read(run.path()).expect("state"), RunState::Nothing);
    drop(ready);
    is_as_if_it_had_never_been(&run);
    assert_eq!(fs::read_to_string(mark).expect("it ran"), "x\n");
}

#[test]
fn a_program_that_is_not_there_is_not_missed_before_the_word() {
    let mut run = Run::of(&["/no/such/program"]);
    drop(starter().ready(run.path(), &run.spec).expect("ready"));
    wait_until(|| !is_alive(&run));
    assert_eq!(state::read(run.path()).expect("state"), RunState::Nothing);
    run.spec.user = Some("no-such-user".into());
    drop(starter().ready(run.path(), &run.spec).expect("ready"));
    run.spec = Run::of(&["true"]).spec.clone();
    is_as_if_it_had_never_been(&run);
}

/// Not a test of its own: the agent that the next test kills. It never gives the word.
#[test]
fn an_agent_to_be_killed_before_the_word() {
    let Some(dir) = std::env::var_os(RUN_DIR) else { return };
    let spec = Run::of(&["true"]).spec.clone();
    // Who looks whether it is there has the lock for that moment.
    let ready = std::iter::repeat_with(|| starter().ready(Path::new(&dir), &spec));
    let _ready = ready.flatten().next();
    loop {
        std::thread::park();
    }
}

#[test]
fn of_an_agent_that_is_killed_before_the_word_nothing_is_left() {
    let run = Run::of(&["true"]);
    let mut agent = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "starter::an_agent_to_be_killed_before_the_word", "--nocapture"])
        .env(RUN_DIR, run.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("an agent");
    wait_until(|| is_alive(&run));
    agent.kill().expect("kill");
    agent.wait().expect("wait");
    is_as_if_it_had_never_been(&run);
}

#[test]
fn a_starter_that_is_killed_takes_no_run_with_it_and_another_takes_its_place() {
    let starter = Starter::new(keeper_program().to_owned());
    let lives = Run::shell("echo up; while [ ! -e go ]; do sleep 0.01; done; exit 5");
    let mut lives = lives;
    lives.spec.working_dir = Some(lives.path().to_owned());
    let keeper = starter.ready(lives.path(), &lives.spec).expect("ready").go().expect("a keeper");
    lives.wait_for_line();

    let waits = Run::of(&["true"]);
    let ready = starter.ready(waits.path(), &waits.spec).expect("ready");
    let first = starter.pid().expect("it runs");
    kill(first);
    // The keeper that waits may be there already, or never will.
    match ready.go() {
        Err(SpawnError::Interrupted) => is_as_if_it_had_never_been(&waits),
        Ok(keeper) => wait_for(&keeper.exit_fd().expect("a pidfd")),
        Err(other) => panic!("{other}"),
    }
    // One that has ended before it was asked costs the next run not even a try.
    wait_until(|| !is_running(first.cast_signed()));
    let next = Run::of(&["true"]);
    let keeper_of_next = starter.ready(next.path(), &next.spec).expect("ready").go().expect("a keeper");
    wait_for(&keeper_of_next.exit_fd().expect("a pidfd"));
    assert!(matches!(state::read(next.path()), Ok(RunState::Exited(..))));
    assert_ne!(starter.pid(), Some(first));

    fs::write(lives.file("go"), "").expect("go");
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let RunState::Exited(_, exited) = state::read(lives.path()).expect("state") else { panic!("no end") };
    assert_eq!(exited.outcome, Outcome::Code(5));
}

#[test]
fn a_program_that_is_no_starter_is_an_error_and_no_endless_try() {
    let run = Run::of(&["true"]);
    for program in ["/bin/false", "/no/such/program"] {
        let starter = Starter::new(program.into());
        let outcomes = std::iter::repeat_with(|| starter.ready(run.path(), &run.spec).and_then(Ready::go));
        let outcome = outcomes.take(10).find(|outcome| !matches!(outcome, Err(SpawnError::Interrupted)));
        assert!(matches!(outcome, Some(Err(SpawnError::Io("keeper program", _)))), "{program}: {outcome:?}");
    }
    is_as_if_it_had_never_been(&run);
}

#[test]
fn a_starter_ends_with_its_agent() {
    let starter = Starter::new(keeper_program().to_owned());
    let run = Run::of(&["true"]);
    let keeper = starter.ready(run.path(), &run.spec).expect("ready").go().expect("a keeper");
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let pid = starter.pid().expect("it runs");
    drop(starter);
    assert!(!is_running(pid.cast_signed()));
}

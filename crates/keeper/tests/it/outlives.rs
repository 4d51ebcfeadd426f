//! The keeper outlives whoever started it, and is found again.

use super::*;
use drover_spawn::Signal;
use std::process::{Command, Stdio};

const RUN_DIR: &str = "DROVER_TEST_RUN_DIR";

/// Not a test of its own: the agent that the next test kills. It starts a keeper and stays.
#[test]
fn an_agent_to_be_killed() {
    let Some(dir) = std::env::var_os(RUN_DIR) else { return };
    let mut spec = Run::shell("trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done").spec.clone();
    spec.run_uid = format!("outlives-{}", std::process::id());
    let keeper = super::spawn(Path::new(&dir), &spec).expect("a keeper");
    wait_for(&keeper.exit_fd().expect("a pidfd"));
}

#[test]
fn a_kill_of_the_agent_loses_no_child_no_output_and_no_code() {
    let run = Run::of(&[]);
    let mut agent = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "outlives::an_agent_to_be_killed", "--nocapture"])
        .env(RUN_DIR, run.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("an agent");
    run.wait_for_line();
    agent.kill().expect("kill");
    agent.wait().expect("wait");

    let found = keeper_process::find(run.path()).expect("find");
    assert!(found.alive);
    let started = found.state.started().expect("started").clone();
    let exit = keeper_process::watch(&found.state).expect("watch").expect("a pidfd of the keeper");
    assert!(started.signal_main(Signal::USR1).expect("signal"));
    wait_for(&exit);
    let found = keeper_process::find(run.path()).expect("find");
    let RunState::Exited(_, exited) = found.state else { panic!("no end: {:?}", found.state) };
    assert!(!found.alive && exited.complete);
    assert_eq!(exited.outcome, Outcome::Code(9));
    assert_eq!(run.text(), "up\n");
}

#[test]
fn requests_to_end_do_not_reach_a_keeper() {
    let run = Run::shell("echo up; read x < gate; exit 6");
    let mut run = run;
    run.spec.working_dir = Some(run.path().to_owned());
    rustix::fs::mknodat(rustix::fs::CWD, run.file("gate"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("a fifo");
    let keeper = run.start();
    let started = run.started(&keeper);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        assert!(started.keeper.signal(signal).expect("signal"));
    }
    std::fs::write(run.file("gate"), "on\n").expect("open the gate");
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let RunState::Exited(_, exited) = state::read(run.path()).expect("state") else { panic!("no end") };
    assert_eq!(exited.outcome, Outcome::Code(6));
}

#[test]
fn a_list_of_runs_tells_the_living_from_the_dead() {
    let runs = tempfile::tempdir().expect("a directory");
    let dir = |name: &str| {
        let path = runs.path().join(name);
        std::fs::create_dir(&path).expect("make");
        path
    };
    let (over, live, _empty) = (dir("a-over"), dir("b-live"), dir("c-empty"));
    std::fs::write(dir("d-newer").join(state::STATE_FILE), "drover-run 9 a3a6bf43 {}\n").expect("write");
    let (short, long) = (Run::of(&["true"]), Run::of(&["sleep", "600"]));
    let first = super::spawn(&over, &short.spec).expect("a keeper");
    wait_for(&first.exit_fd().expect("a pidfd"));
    let second = super::spawn(&live, &long.spec).expect("a keeper");
    wait_for(&second.started_fd());
    let list = keeper_process::list(runs.path()).expect("list");
    let found: Vec<_> = list.iter().flat_map(|(_, found)| found).collect();
    let alive: Vec<bool> = found.iter().map(|found| found.alive).collect();
    assert_eq!(alive, [false, true, false], "the damaged one has an error of its own: {list:?}");
    assert!(list[3].1.is_err());
    assert!(matches!(found[2].state, RunState::Nothing));
    found[1].state.started().expect("started").signal_main(Signal::KILL).expect("signal");
    wait_for(&second.exit_fd().expect("a pidfd"));
}

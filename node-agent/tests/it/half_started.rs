//! A keeper that is killed after it has made its child, and before that executes anything.

use std::path::Path;

use drover_node_agent::{Host, RealHost};
use drover_spawn::process::Signal;
use drover_spawn::{RunSpec, RunState};
use rustix::process::{Pid, kill_process};

use crate::agent::PATIENCE;

fn status(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

fn parent(pid: u32) -> Option<u32> {
    status(pid).lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The processes of a program.
fn of_program(program: &Path) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
    pids.filter(is_it).collect()
}

/// A keeper that has its child already. The child is of the same program until it executes its own.
fn keeper_with_a_child(program: &Path) -> Option<u32> {
    let all = of_program(program);
    let own = std::process::id();
    all.iter().filter_map(|pid| parent(*pid)).find(|of| all.contains(of) && parent(*of) == Some(own))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_is_killed_before_its_program_starts_is_told_of_when_nothing_of_it_holds_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let program = drover_keeper_image::install(dir.path()).unwrap();
    let host = RealHost::new(program.clone());
    for round in 0..10 {
        let run_dir = dir.path().join(format!("run-{round}"));
        std::fs::create_dir(&run_dir).unwrap();
        let uid = format!("half-{}-{round}", std::process::id());
        let ready =
            host.ready(&run_dir, RunSpec::new(uid.clone(), vec!["sleep".into(), "600".into()])).unwrap();
        let keeper = tokio::time::timeout(PATIENCE, async {
            loop {
                match keeper_with_a_child(&program) {
                    Some(keeper) => return keeper,
                    None => tokio::task::yield_now().await,
                }
            }
        });
        let keeper = keeper.await.expect("a keeper that waits");
        kill_process(Pid::from_raw(keeper.cast_signed()).unwrap(), Signal::KILL).unwrap();
        for watch in ready.go().unwrap() {
            tokio::time::timeout(PATIENCE, watch).await.expect("both watches resolve");
        }
        let look = host.look(&run_dir).unwrap();
        assert!(!look.alive, "nobody would look again: {:?}", look.state);
        assert!(matches!(look.state, RunState::Nothing | RunState::Started(_)), "{:?}", look.state);
        assert!(host.end(&uid, &look.state).unwrap());
    }
}

//! Process numbers that come round.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use drover_spawn::process::Signal;
use serde_json::json;

use crate::agent::{Dir, PATIENCE, Running, assignment, script, text};

const INSIDE: &str = "DROVER_TEST_FEW_PIDS";
/// The kernel allows no less than 301, and once it has come round gives out no number below 300.
const PIDS: &str = "400";

/// A script in a namespace whose next process has a number that can come round.
fn few_pids(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]);
    let burn = "i=0; while [ $i -lt 300 ]; do (:); i=$((i+1)); done";
    command.arg(format!("echo {PIDS} > /proc/sys/kernel/pid_max && {{ {burn}; {script}; exit $?; }}"));
    command.stdin(Stdio::null());
    command
}

#[test]
fn case_15_a_number_that_became_an_innocents_is_neither_killed_nor_adopted() {
    let possible = few_pids("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !possible {
        return println!("skipped: no pid namespace with a pid_max of its own can be made here");
    }
    let mut command = few_pids("\"$0\" --exact pids::inside_of_few_pids --nocapture");
    let output = command.arg(std::env::current_exe().unwrap()).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// The test above, with few numbers for processes. Without that there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_of_few_pids() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let dir = Dir::new();
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![web]).await;
    let run = agent.run("web", "Running").await;
    let state = agent.state(&run);
    agent.crash().await;
    let started = state.started().unwrap();
    started.keeper.signal(Signal::KILL).unwrap();
    let numbers = [started.keeper.pid, started.child.pid];
    tokio::time::timeout(PATIENCE, async {
        while numbers.iter().any(|pid| Path::new("/proc").join(pid.to_string()).exists()) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("keeper and child are gone");
    let mut innocents = numbers.map(take_number);

    let mut agent = Running::start(&dir.data());
    let lost = agent.run("web", "Lost").await;
    assert_eq!(lost["metadata"]["uid"], run["metadata"]["uid"]);
    assert_eq!(text(&lost, "/status/reason"), "KeeperDied");
    let second = agent.run("web", "Running").await;
    let pid = second["status"]["pid"].as_i64().unwrap();
    assert!(!numbers.iter().any(|number| i64::from(*number) == pid), "an innocent was adopted");
    agent.wants(2, Vec::new()).await;
    agent.until("the end", |seen| (!seen.ended.is_empty()).then_some(())).await;
    for innocent in &mut innocents {
        assert_eq!(innocent.try_wait().unwrap(), None, "an innocent was killed");
        innocent.kill().unwrap();
        innocent.wait().unwrap();
    }
}

/// A process of this number, the leader of a session of its own.
fn take_number(wanted: i32) -> Child {
    for _ in 0..5000 {
        let mut child = Command::new("setsid").args(["sleep", "600"]).stdin(Stdio::null()).spawn().unwrap();
        if child.id().cast_signed() == wanted {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("the number {wanted} did not come round");
}

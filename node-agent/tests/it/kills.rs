//! An agent in a process of its own, killed at whatever instant it happens to be in.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::agent::{Dir, Running, assignment, lines, script, text};

const DATA_DIR: &str = "DROVER_TEST_AGENT";

/// The agent's process: this program once more, told where its data is. Without that there is nothing to do.
#[test]
fn agent_process() {
    let Some(data) = std::env::var_os(DATA_DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let _agent = Running::start(Path::new(&data));
        std::future::pending::<()>().await;
    });
}

fn spawn(data: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kills::agent_process"]).env(DATA_DIR, data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_at_any_instant_runs_each_tick_once_and_tells_of_each() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let echo = script(&format!("echo $DROVER_SCHEDULED_TIME $DROVER_RUN_UID >> {}", log.display()));
    let beat = |suspend: bool| {
        let timer = json!({
            "every": "100ms", "concurrencyPolicy": "Allow", "catchUp": "All", "suspend": suspend, "template": echo,
        });
        assignment("beat", "Timer", timer)
    };
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![beat(false), web.clone()]).await;
    let first = agent.run("web", "Running").await;
    let mut told: BTreeSet<String> = finished(&agent.stop().await);
    for round in 0..12 {
        let mut process = spawn(&dir.data());
        let before = lines(&log).len();
        // Each time at another place between two ticks.
        while lines(&log).len() < before + 2 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        tokio::time::sleep(Duration::from_millis(round * 9)).await;
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let mut agent = Running::start(&dir.data());
    agent.wants(2, vec![beat(true), web]).await;
    let runs = |agent: &Running| told.len() + finished(&agent.seen).difference(&told).count();
    agent
        .until("it is suspended", |seen| (seen.condition("beat", "Ready")?.1 == "Suspended").then_some(()))
        .await;
    while std::fs::read_dir(dir.data().join("runs"))
        .unwrap()
        .flatten()
        .any(|run| is_open(&run.path(), &first))
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    agent
        .until("all are told", |seen| {
            (told.union(&finished(seen)).count() == lines(&log).len()).then_some(())
        })
        .await;
    assert_eq!(runs(&agent), lines(&log).len());
    told.extend(finished(&agent.seen));
    let ran: Vec<String> = lines(&log);
    let ticks: BTreeSet<jiff::Timestamp> =
        ran.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(ticks.len(), ran.len(), "a tick ran twice");
    let ticks: Vec<jiff::Timestamp> = ticks.into_iter().collect();
    for pair in ticks.windows(2) {
        assert_eq!(pair[1].duration_since(pair[0]).as_millis(), 100, "{pair:?}");
    }
    let uids: BTreeSet<String> = ran.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(told, uids, "what ran and what was told of differ");
    let again = agent.run("web", "Running").await;
    assert_eq!(again["status"]["pid"], first["status"]["pid"], "the service was not touched");
}

/// The uids of the timer's runs that ended well, as reported.
fn finished(seen: &crate::agent::Seen) -> BTreeSet<String> {
    seen.runs_in("beat", "Succeeded").iter().map(|run| text(run, "/metadata/uid").to_owned()).collect()
}

fn is_open(run_dir: &Path, service: &serde_json::Value) -> bool {
    let exited = matches!(drover_spawn::state::read(run_dir), Ok(drover_spawn::RunState::Exited(..)));
    !exited && !run_dir.ends_with(text(service, "/metadata/uid"))
}

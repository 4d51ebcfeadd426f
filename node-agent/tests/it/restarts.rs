//! Laws across the ends of agents, keepers and hosts.

use serde_json::json;

use crate::agent::{Dir, Running, assignment, boot_id, end_all, lines, script, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_outlives_the_agent_and_is_found_again() {
    let dir = Dir::new();
    let service = json!({"template": {"process": {"command": ["sleep", "600"]}}});
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![assignment("web", "Service", service)]).await;
    let first = agent.run("web", "Running").await;
    agent.stop().await;
    let mut agent = Running::start(&dir.data());
    let again = agent.run("web", "Running").await;
    assert_eq!(again.pointer("/metadata/uid"), first.pointer("/metadata/uid"));
    assert_eq!(again.pointer("/status/pid"), first.pointer("/status/pid"));
    agent.wants(2, Vec::new()).await;
    let ended = agent.run("web", "Failed").await;
    assert_eq!(ended.pointer("/status/reason"), Some(&json!("Removed")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_while_the_agent_is_down_is_reported_with_its_code_and_output() {
    let dir = Dir::new();
    let go = dir.path().join("go");
    let body =
        format!("echo before; while [ ! -e {} ]; do sleep 0.02; done; echo after; exit 7", go.display());
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![assignment("long", "Task", json!({"template": script(&body)}))]).await;
    let run = agent.run("long", "Running").await;
    let state = agent.state(&run);
    agent.crash().await;
    std::fs::write(&go, "").unwrap();
    let keeper = state.started().unwrap().keeper;
    while keeper.open().unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    let mut agent = Running::start(&dir.data());
    let ended = agent.run("long", "Failed").await;
    assert_eq!(ended.pointer("/status/exitCode"), Some(&json!(7)));
    assert_eq!(text(&ended, "/status/outputTail"), "before\nafter\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_keeper_makes_the_run_lost_its_tree_ended_and_the_service_starts_again_once() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let body = format!("echo up; echo + >> {}; sleep 600 & wait", log.display());
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![assignment("web", "Service", json!({"template": script(&body)}))]).await;
    let first = agent.run("web", "Running").await;
    while lines(&log).is_empty() {
        tokio::task::yield_now().await;
    }
    let state = agent.state(&first);
    // Written is not read yet: output in the pipe of a killed keeper is gone with it.
    let run_dir = dir.data().join("runs").join(text(&first, "/metadata/uid"));
    while drover_spawn::segments::tail(&run_dir, 9).unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    state.started().unwrap().keeper.signal(drover_spawn::process::Signal::KILL).unwrap();
    let lost = agent.run("web", "Lost").await;
    assert_eq!(lost.pointer("/metadata/uid"), first.pointer("/metadata/uid"));
    assert_eq!(text(&lost, "/status/reason"), "KeeperDied");
    assert_eq!(text(&lost, "/status/outputTail"), "up\n", "output up to then is kept");
    assert_eq!(agent.members(&first), 0, "its tree is gone");
    let second = agent.run("web", "Running").await;
    assert_eq!(second.pointer("/spec/attempt"), Some(&json!(2)));
    agent.until("the event", |seen| seen.events.get("KeeperDied").cloned()).await;
    agent.wants(2, Vec::new()).await;
    agent.run("web", "Failed").await;
    assert_eq!(lines(&log), ["+", "+"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_counted_on_across_restarts_of_the_agent() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![assignment("web", "Service", json!({"template": script("exec sleep 600")}))]).await;
    let mut first = None;
    for count in 1..=3 {
        let run = agent.run("web", "Running").await;
        agent.state(&run).started().unwrap().keeper.signal(drover_spawn::process::Signal::KILL).unwrap();
        let event = agent
            .until("the event", |seen| seen.events.get("KeeperDied").filter(|e| e["count"] == count).cloned())
            .await;
        let since = first.get_or_insert_with(|| event["firstTimestamp"].clone());
        assert_eq!(event["firstTimestamp"], *since);
        let mut seen = agent.crash().await;
        seen.runs.clear();
        agent = Running::start(&dir.data());
        agent.seen = seen;
    }
    agent.wants(2, Vec::new()).await;
    agent.until("the end", |seen| (!seen.ended.is_empty()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn desired_state_survives_a_restart_of_agent_and_host_without_a_server() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let on_boot = script(&format!("echo boot >> {}", log.display()));
    let boot = assignment("boot", "Timer", json!({"onBoot": true, "template": on_boot}));
    let beat = assignment("beat", "Timer", json!({"every": "100ms", "template": script("true")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(5, vec![web, boot, beat]).await;
    agent.run("web", "Running").await;
    agent.run("beat", "Succeeded").await;
    assert!(lines(&log).is_empty(), "this boot came before the timer");
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(5));
    agent.crash().await;
    // The host goes down and comes back.
    end_all(&dir.data());
    let mut agent = Running::start_in_boot(&dir.data(), "another-boot");
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(5));
    let lost = agent.run("web", "Lost").await;
    assert_eq!(text(&lost, "/status/reason"), "HostRestarted");
    agent.run("boot", "Succeeded").await;
    agent.run("beat", "Succeeded").await;
    agent.crash().await;
    let mut agent = Running::start_in_boot(&dir.data(), "another-boot");
    agent.run("beat", "Succeeded").await;
    assert_eq!(lines(&log), ["boot"], "once per boot");
    assert_ne!(boot_id(), "another-boot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_desired_state_names_is_stopped_when_the_agent_comes_back() {
    let dir = Dir::new();
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![web]).await;
    let run = agent.run("web", "Running").await;
    agent.wants(2, Vec::new()).await;
    agent.crash().await;
    let mut agent = Running::start(&dir.data());
    agent.until("ended", |seen| (seen.ended == ["web-host-1"]).then_some(())).await;
    assert!(!dir.data().join("runs").join(text(&run, "/metadata/uid")).exists(), "nothing of it is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_no_journal_accounts_for_are_ended() {
    let dir = Dir::new();
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![web]).await;
    let run = agent.run("web", "Running").await;
    let state = agent.state(&run);
    agent.crash().await;
    std::fs::remove_file(dir.data().join("journal")).unwrap();
    let mut agent = Running::start(&dir.data());
    let second = agent.run("web", "Running").await;
    assert_ne!(second["metadata"]["uid"], run["metadata"]["uid"]);
    let child = state.started().unwrap().child;
    while child.open().unwrap().is_some() && agent.members(&second) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(agent.members(&second), 1, "the one that is accounted for lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_epoch_of_the_store_restarts_nothing_and_is_told_everything() {
    let dir = Dir::new();
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![web.clone()]).await;
    let run = agent.run("web", "Running").await;
    agent.seen = Default::default();
    agent.handle.welcomed("restored".into(), Default::default()).await.unwrap();
    let again = agent.run("web", "Running").await;
    assert_eq!(again["status"]["pid"], run["status"]["pid"]);
    agent.until("the status", |seen| seen.is_ready("web").then_some(())).await;
    let desired =
        drover_wire::Desired { revision: 1, full: true, assignments: vec![web], ..Default::default() };
    agent.handle.desired("restored", desired).await.unwrap();
    assert_eq!(agent.handle.standing().await.unwrap().store_epoch.as_deref(), Some("restored"));
    let stale = drover_wire::Desired { revision: 2, ..Default::default() };
    assert!(agent.handle.desired("epoch", stale).await.is_err(), "a change of another store's state");
    agent.wants(3, Vec::new()).await;
    agent.run("web", "Failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_went_back_to_an_old_copy_of_itself_is_told_everything_again() {
    let dir = Dir::new();
    let task = assignment("job", "Task", json!({"template": script("exit 0")}));
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![task, web]).await;
    agent.handle.welcomed("epoch".into(), Default::default()).await.unwrap();
    agent.run("job", "Succeeded").await;
    agent.run("web", "Running").await;
    agent.until("the task is done", |seen| seen.is_ready("job").then_some(())).await;
    agent.seen = Default::default();
    let before = drover_wire::Accepted { agent_epoch: 1, sequence: 0 };
    agent.handle.welcomed("epoch".into(), before).await.unwrap();
    agent.until("the task is done", |seen| seen.is_ready("job").then_some(())).await;
    agent.run("web", "Running").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_lost_its_journal_is_believed_again() {
    let dir = Dir::new();
    let agent = Running::start(&dir.data());
    let later = drover_wire::Accepted { agent_epoch: 7, sequence: 40 };
    agent.handle.welcomed("epoch".into(), later).await.unwrap();
    agent.wants(1, vec![assignment("job", "Task", json!({"template": script("exit 0")}))]).await;
    loop {
        let reports = agent.handle.reports(None).await.unwrap();
        if let Some(first) = reports.first() {
            assert_eq!((first.agent_epoch, first.sequence), (8, 1), "it would be taken for a replay");
            break;
        }
        agent.handle.bell().await;
    }
}

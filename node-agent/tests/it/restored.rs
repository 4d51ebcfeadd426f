//! Laws of a server that was restored: its store has another history, and nothing that ran runs again.

use std::collections::BTreeSet;

use drover_wire::{Accepted, Desired};
use serde_json::{Value, json};

use crate::agent::{Dir, PATIENCE, Running, assignment, boottime, lines, phase, script, text};

/// The Assignment that a reconciler makes anew of the same workload.
fn anew(mut assignment: Value) -> Value {
    let uid = format!("{}-anew", text(&assignment, "/metadata/uid"));
    assignment["metadata"]["uid"] = uid.into();
    assignment
}

async fn restored(agent: &Running, assignments: Vec<Value>) {
    agent.handle.welcomed("restored".into(), Accepted::default()).await.unwrap();
    let desired = Desired { revision: 1000, full: true, assignments, ..Desired::default() };
    agent.handle.desired("restored", desired).await.unwrap();
}

fn outcome(seen: &crate::agent::Seen, workload: &str) -> Option<String> {
    let status = seen.statuses.get(&format!("{workload}-host-1"))?;
    status.get("outcome").and_then(Value::as_str).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_ran_and_was_forgotten_is_told_again_and_not_run_again() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let job = |name: &str, rest: &str| {
        let text = format!("echo {name} >> {}; {rest}", log.display());
        assignment(name, "Task", json!({"template": script(&text)}))
    };
    let (done, cut) = (job("done", "exit 0"), job("cut", "exec sleep 600"));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![done.clone(), cut.clone()]).await;
    agent.run("done", "Succeeded").await;
    agent.run("cut", "Running").await;
    agent.wants(2, Vec::new()).await;
    agent.until("both are over", |seen| (seen.ended.len() == 2).then_some(())).await;
    // A start of the agent between the two changes nothing.
    agent.stop().await;
    let mut agent = Running::start(&dir.data());
    // One comes back as it was, the other has had no Assignment yet when the backup was made.
    restored(&agent, vec![anew(done), cut]).await;
    agent.until("their outcomes", |seen| outcome(seen, "done").and(outcome(seen, "cut"))).await;
    assert_eq!(outcome(&agent.seen, "done").as_deref(), Some("Succeeded"));
    assert_eq!(outcome(&agent.seen, "cut").as_deref(), Some("Failed"), "it was ended, with its Task");
    let new = assignment("new", "Task", json!({"template": script("exit 0")}));
    let desired = Desired { revision: 1001, assignments: vec![new], ..Desired::default() };
    agent.handle.desired("restored", desired).await.unwrap();
    agent.run("new", "Succeeded").await;
    let mut ran = lines(&log);
    ran.sort();
    assert_eq!(ran, ["cut", "done"], "something ran twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_taken_over_by_the_new_assignment_of_its_workload() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let gate = dir.path().join("gate");
    let text_of_job =
        format!("echo ran >> {}; while [ ! -e {} ]; do sleep 0.05; done", log.display(), gate.display());
    let job = assignment("job", "Task", json!({"template": script(&text_of_job)}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![web.clone(), job.clone()]).await;
    let before = agent.run("web", "Running").await;
    agent.run("job", "Running").await;
    agent.seen = Default::default();
    restored(&agent, vec![anew(web.clone()), anew(job)]).await;
    let owner = |run: &&Value| text(run, "/metadata/ownerReferences/0/uid").ends_with("-anew");
    let after = agent
        .until("it is told of its new Assignment", |seen| {
            seen.runs_in("web", "Running").into_iter().find(owner).cloned()
        })
        .await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["status"]["pid"], before["status"]["pid"]);
    std::fs::write(&gate, "").unwrap();
    agent.run("job", "Succeeded").await;
    agent.until("the outcome", |seen| outcome(seen, "job")).await;
    assert_eq!(lines(&log), ["ran"]);
    let told: BTreeSet<&str> =
        agent.seen.runs.values().filter(|run| phase(run) != "Succeeded").map(phase).collect();
    assert_eq!(told, BTreeSet::from(["Running"]), "something was ended or started");
    // The new Assignment is the one to end it.
    let gone = Desired { revision: 1001, full: true, ..Desired::default() };
    agent.handle.desired("restored", gone).await.unwrap();
    agent.run("web", "Failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tick_fires_twice_across_a_restore() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let template = script(&format!("echo $DROVER_SCHEDULED_TIME >> {}", log.display()));
    let beat = assignment(
        "beat",
        "Timer",
        json!({"every": "100ms", "concurrencyPolicy": "Allow", "template": template}),
    );
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![beat.clone()]).await;
    let enough = |seen: &crate::agent::Seen| (seen.runs_in("beat", "Succeeded").len() > 3).then_some(());
    agent.until("ticks", enough).await;
    // As another Assignment while it is armed, then after it was forgotten.
    restored(&agent, vec![anew(beat.clone())]).await;
    agent.seen = Default::default();
    agent.until("more ticks", enough).await;
    let gone = Desired { revision: 1001, full: true, ..Desired::default() };
    agent.handle.desired("restored", gone).await.unwrap();
    agent.until("it is over", |seen| (!seen.ended.is_empty()).then_some(())).await;
    let back = Desired { revision: 5000, full: true, assignments: vec![beat], ..Desired::default() };
    agent.handle.welcomed("again".into(), Accepted::default()).await.unwrap();
    agent.handle.desired("again", back).await.unwrap();
    agent.seen = Default::default();
    agent.until("still more ticks", enough).await;
    let ticks = lines(&log);
    let times: BTreeSet<&String> = ticks.iter().collect();
    assert_eq!(times.len(), ticks.len(), "a tick fired twice: {ticks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_state_of_the_same_history_is_refused_and_says_what_to_do() {
    let dir = Dir::new();
    let task = assignment("job", "Task", json!({"template": script("exit 0")}));
    let mut agent = Running::start(&dir.data());
    agent.handle.welcomed("epoch".into(), Accepted::default()).await.unwrap();
    agent.wants(7, vec![task]).await;
    agent.run("job", "Succeeded").await;
    let older = Desired { revision: 6, full: true, ..Desired::default() };
    let refused = agent.handle.desired("epoch", older.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("revision 6") && refused.contains("drover restore"), "{refused}");
    let refused = agent.handle.welcomed("epoch".into(), Accepted::default()).await.unwrap_err().to_string();
    assert!(refused.contains("drover restore"), "{refused}");
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(7));
    agent.handle.welcomed("restored".into(), Accepted::default()).await.unwrap();
    agent.handle.desired("restored", older).await.unwrap();
    agent.until("it is gone", |seen| (!seen.ended.is_empty()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_between_the_new_state_and_its_journal_still_knows_what_ran() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let text = format!("echo ran >> {}", log.display());
    let job = assignment("job", "Task", json!({"template": script(&text)}));
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![job.clone()]).await;
    agent.run("job", "Succeeded").await;
    agent.stop().await;
    // The state that was on its way, and nothing of what follows it.
    std::fs::remove_dir_all(dir.data().join("desired")).unwrap();
    let stored =
        json!({"node_uid": "node-uid", "store_epoch": "restored", "revision": 1, "assignments": [anew(job)]});
    std::fs::write(dir.data().join("desired.json"), stored.to_string()).unwrap();
    let mut agent = Running::start(&dir.data());
    agent.until("its outcome", |seen| outcome(seen, "job")).await;
    assert_eq!(outcome(&agent.seen, "job").as_deref(), Some("Succeeded"));
    assert_eq!(lines(&log), ["ran"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_that_may_have_moved_waits_for_a_lease_and_one_that_was_here_goes_on() {
    let dir = Dir::new();
    let leased = |name: &str| {
        let mut template = script("exec sleep 600");
        template["process"]["terminationGracePeriod"] = json!("1s");
        let mut assignment = assignment(name, "Service", json!({"template": template}));
        assignment["spec"]["lease"] = json!("9s");
        assignment
    };
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![leased("here")]).await;
    agent.handle.heard(boottime()).await.unwrap();
    let run = agent.run("here", "Running").await;
    agent.handle.heard(boottime()).await.unwrap();
    let crossed = boottime();
    restored(&agent, vec![leased("here"), leased("moved")]).await;
    let moved = async {
        while agent.seen.runs_in("moved", "Running").is_empty() {
            agent.handle.heard(boottime()).await.unwrap();
            for report in agent.handle.reports(None).await.unwrap() {
                agent.seen.take(&report);
                agent.handle.acknowledged(report.agent_epoch, report.sequence).await.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("it starts after a lease");
    assert!(boottime() >= crossed + std::time::Duration::from_secs(9), "it may still run elsewhere");
    assert_eq!(agent.seen.runs_in("here", "Running").len(), 1);
    assert_eq!(agent.run("here", "Running").await["metadata"]["uid"], run["metadata"]["uid"]);
}

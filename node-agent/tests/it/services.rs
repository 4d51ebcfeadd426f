//! Laws of services: kept up, replaced one by one, held back by what is missing.

use serde_json::{Value, json};

use crate::agent::{Dir, Running, Seen, assignment, changed, lines, script, secret, text};

fn service(name: &str, rest: Value, template: Value) -> Value {
    let mut spec = rest;
    spec["template"] = template;
    assignment(name, "Service", spec)
}

fn uids(seen: &Seen, name: &str) -> Vec<String> {
    let mut all: Vec<String> =
        seen.runs_in(name, "Running").iter().map(|run| text(run, "/metadata/uid").to_owned()).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_template_restarts_one_replica_after_the_other() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let mut agent = Running::start(&dir.data());
    let body = |version: u32| {
        let log = log.display();
        script(&format!(
            "trap 'echo - >> {log}; exit 0' TERM; echo + >> {log}; : v{version}; sleep 600 & wait"
        ))
    };
    let three =
        |version, generation| changed(service("web", json!({"replicas": 3}), body(version)), generation);
    agent.wants(1, vec![three(1, 1)]).await;
    agent.until("all up", |seen| seen.is_ready("web").then_some(())).await;
    let before = uids(&agent.seen, "web");
    agent.wants(2, vec![three(2, 2)]).await;
    agent
        .until("all new", |seen| {
            let now = uids(seen, "web");
            let current = seen.statuses["web-host-1"]["observedGeneration"] == 2;
            (now.len() == 3 && current && seen.is_ready("web") && now.iter().all(|uid| !before.contains(uid)))
                .then_some(())
        })
        .await;
    let mut up = 0_i32;
    for (index, line) in lines(&log).iter().enumerate() {
        up += if line == "+" { 1 } else { -1 };
        assert!(index < 3 || up >= 2, "more than one was down: {:?}", lines(&log));
    }
    let reasons: Vec<&str> =
        agent.seen.runs_in("web", "Succeeded").iter().map(|run| text(run, "/status/reason")).collect();
    assert_eq!(reasons, ["TemplateChanged"; 3]);
    agent.wants(3, Vec::new()).await;
    agent.until("the end", |seen| (!seen.ended.is_empty()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_does_not_come_up_takes_only_one_replica_down() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let with =
        |text: &str, generation| changed(service("web", json!({"replicas": 2}), script(text)), generation);
    agent.wants(1, vec![with("exec sleep 600", 1)]).await;
    agent.until("all up", |seen| seen.is_ready("web").then_some(())).await;
    agent.wants(2, vec![with("exit 1", 2)]).await;
    agent.until("back-off", |seen| seen.events.contains_key("BackOff").then_some(())).await;
    assert_eq!(uids(&agent.seen, "web").len(), 1, "one of the old ones stays");
    agent.until("it says so", |seen| (seen.condition("web", "Ready")?.1 == "BackOff").then_some(())).await;
    agent.wants(3, vec![with("exec sleep 601", 3)]).await;
    agent
        .until("all new", |seen| {
            (seen.statuses["web-host-1"]["observedGeneration"] == 3 && seen.is_ready("web")).then_some(())
        })
        .await;
    agent.wants(4, Vec::new()).await;
    agent.until("the end", |seen| (!seen.ended.is_empty()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_holds_a_service_back_until_it_arrives() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let mut template = script("echo $TOKEN; exec sleep 600");
    template["process"]["env"] =
        json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]);
    let web = service("web", json!({}), template);
    agent.wants(1, vec![web.clone()]).await;
    agent
        .until("the condition", |seen| (seen.condition("web", "ConfigMissing")?.0 == "True").then_some(()))
        .await;
    agent.until("the event", |seen| seen.events.get("ConfigMissing").cloned()).await;
    assert!(agent.seen.runs.is_empty(), "nothing starts: {:?}", agent.seen.runs);
    assert!(!agent.seen.is_ready("web"));
    agent.wants_with(2, vec![web.clone()], vec![secret("keys", &[("token", "one")])]).await;
    let run = agent.run("web", "Running").await;
    agent
        .until("it is over", |seen| {
            (seen.condition("web", "ConfigMissing")?.0 == "False" && seen.is_ready("web")).then_some(())
        })
        .await;
    // A new value restarts nothing; the next start takes it.
    agent.wants_with(3, vec![web], vec![secret("keys", &[("token", "two")])]).await;
    let state = agent.state(&run);
    state.started().unwrap().signal_main(drover_spawn::process::Signal::KILL).unwrap();
    let first = agent.run("web", "Failed").await;
    assert_eq!(text(&first, "/status/outputTail"), "one\n");
    let second = agent.run("web", "Running").await;
    agent.wants(4, Vec::new()).await;
    agent.until("the end", |seen| (!seen.ended.is_empty()).then_some(())).await;
    let second = &agent.seen.runs[text(&second, "/metadata/uid")];
    assert_eq!(text(second, "/status/outputTail"), "two\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_may_stay_down_does_also_across_restarts_of_the_agent() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let once = service(
        "once",
        json!({"restart": {"policy": "OnFailure"}}),
        script(&format!("echo ran >> {}", log.display())),
    );
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![once.clone()]).await;
    agent.run("once", "Succeeded").await;
    agent.crash().await;
    let mut agent = Running::start(&dir.data());
    let pacer = assignment("pacer", "Timer", json!({"every": "100ms", "template": script("true")}));
    agent.wants(2, vec![once.clone(), pacer]).await;
    agent.run("pacer", "Succeeded").await;
    assert_eq!(lines(&log), ["ran"]);
    agent.wants(3, vec![changed(once, 2)]).await;
    // A new generation is another chance.
    agent.until("once more", |_| (lines(&log).len() == 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicted_or_deleted_service_ends_and_only_the_deleted_one_is_let_go() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let web = service("web", json!({}), script("exec sleep 600"));
    agent.wants(1, vec![web.clone()]).await;
    agent.run("web", "Running").await;
    let mut evicted = web.clone();
    evicted["spec"]["evicted"] = json!(true);
    agent.wants(2, vec![evicted]).await;
    agent.run("web", "Failed").await;
    agent.until("evicted", |seen| (seen.condition("web", "Ready")?.1 == "Evicted").then_some(())).await;
    assert!(agent.seen.ended.is_empty());
    agent.wants(3, vec![web.clone()]).await;
    agent.run("web", "Running").await;
    let mut deleted = web;
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    agent.wants(4, vec![deleted]).await;
    agent.until("ended", |seen| (seen.ended == ["web-host-1"]).then_some(())).await;
    assert!(agent.seen.runs_in("web", "Running").is_empty(), "it was said too early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_died_of_is_in_its_status() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let template = json!({"process": {"command": ["/no/such/program"]}});
    let service = json!({"restart": {"policy": "Never"}, "template": template});
    agent.wants(1, vec![assignment("web", "Service", service)]).await;
    let want = "0 of 1 replicas run; the last one to end: exec /no/such/program: No such file or directory \
                (os error 2)";
    let found = |seen: &crate::agent::Seen| {
        let message = seen.statuses.get("web-host-1")?.pointer("/conditions/0/message")?.as_str()?;
        (message == want).then_some(())
    };
    agent.until(want, found).await;
}

//! Laws of ticks and triggers.

use std::collections::BTreeSet;

use drover_world::{Clock as _, SystemClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::agent::{Dir, Running, assignment, lines, phase, script, text};

fn timer(name: &str, rest: Value, template: Value) -> Value {
    let mut spec = rest;
    spec["template"] = template;
    assignment(name, "Timer", spec)
}

/// One that only fires when triggered.
fn never(name: &str, policy: &str, template: Value) -> Value {
    timer(name, json!({"at": "2200-01-01T00:00:00Z", "concurrencyPolicy": policy}), template)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_once_per_tick_across_agent_restarts() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let echo = script(&format!("echo $DROVER_SCHEDULED_TIME >> {}", log.display()));
    let beat = |suspend: bool| {
        let rest =
            json!({"every": "100ms", "concurrencyPolicy": "Allow", "catchUp": "All", "suspend": suspend});
        timer("beat", rest, echo.clone())
    };
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![beat(false)]).await;
    let mut finished = 0;
    for round in 1..=6 {
        agent.until("more runs", |seen| (seen.runs_in("beat", "Succeeded").len() > 2).then_some(())).await;
        let seen = agent.crash().await;
        finished += seen.runs_in("beat", "Succeeded").len();
        assert!(finished >= round * 3);
        agent = Running::start(&dir.data());
    }
    agent.wants(2, vec![beat(true)]).await;
    agent.until("the end", |seen| (seen.condition("beat", "Ready")?.1 == "Suspended").then_some(())).await;
    let runs = dir.data().join("runs");
    let ended = |entry: std::fs::DirEntry| {
        matches!(drover_spawn::state::read(&entry.path()).unwrap(), drover_spawn::RunState::Exited(..))
    };
    while !std::fs::read_dir(&runs).unwrap().flatten().all(ended) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    agent.stop().await;
    let ticks = lines(&log);
    let times: BTreeSet<jiff::Timestamp> = ticks.iter().map(|time| time.parse().unwrap()).collect();
    assert_eq!(ticks.len(), times.len(), "a tick ran twice");
    // And none was left out: they follow each other at the period.
    let times: Vec<jiff::Timestamp> = times.into_iter().collect();
    for pair in times.windows(2) {
        assert_eq!(pair[1].duration_since(pair[0]).as_millis(), 100, "{pair:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_is_served_once_however_often_it_comes() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let mut agent = Running::start(&dir.data());
    let echo = script(&format!("echo ran >> {}", log.display()));
    agent.wants(1, vec![never("now", "Forbid", echo)]).await;
    let first = agent.trigger("now", "r-1").await;
    assert_eq!(first.refused, None);
    let run = agent.run("now", "Succeeded").await;
    assert_eq!(Some(text(&run, "/metadata/name")), first.run.as_deref());
    assert_eq!(text(&run, "/spec/trigger/type"), "Manual");
    agent.crash().await;
    let mut agent = Running::start(&dir.data());
    assert_eq!(agent.trigger("now", "r-1").await, first, "a repeat, after a restart");
    let second = agent.trigger("now", "r-2").await;
    assert_ne!(second.run, first.run);
    agent
        .until("the second", |seen| {
            seen.runs
                .values()
                .find(|run| {
                    Some(text(run, "/metadata/name")) == second.run.as_deref() && phase(run) == "Succeeded"
                })
                .cloned()
        })
        .await;
    assert_eq!(lines(&log), ["ran", "ran"]);
    let refused = agent.trigger("unknown", "r-3").await;
    assert!(refused.run.is_none() && refused.refused.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forbid_refuses_queue_waits_and_replace_ends_what_runs() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let sleep = || script("exec sleep 600");
    let all = ["Forbid", "Queue", "Replace", "Allow"];
    let timers = all.iter().map(|policy| never(&policy.to_lowercase(), policy, sleep()));
    agent.wants(1, timers.collect()).await;
    for policy in all {
        let name = policy.to_lowercase();
        agent.trigger(&name, "one").await;
        agent.run(&name, "Running").await;
    }
    let refused = agent.trigger("forbid", "two").await;
    assert!(refused.refused.unwrap().starts_with("ForbidConcurrent"));

    let queued = agent.trigger("queue", "two").await.run.unwrap();
    let waiting = agent.run("queue", "Pending").await;
    assert_eq!((text(&waiting, "/metadata/name"), text(&waiting, "/status/reason")), (&*queued, "Queued"));
    assert_eq!(agent.trigger("queue", "three").await.run, Some(queued), "one that has not begun serves both");

    agent.trigger("replace", "two").await;
    let replaced = agent.run("replace", "Failed").await;
    assert_eq!(text(&replaced, "/status/reason"), "Replaced");
    agent
        .until("its successor", |seen| {
            let running = seen.runs_in("replace", "Running");
            (running.len() == 1 && running[0]["metadata"]["uid"] != replaced["metadata"]["uid"]).then_some(())
        })
        .await;

    agent.trigger("allow", "two").await;
    agent.until("both", |seen| (seen.runs_in("allow", "Running").len() == 2).then_some(())).await;
    agent.wants(2, Vec::new()).await;
    agent.until("all ended", |seen| (seen.ended.len() == 4).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_timer_does_not_tick_and_catches_nothing_up() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let beat = |suspend: bool| {
        timer("beat", json!({"every": "100ms", "catchUp": "All", "suspend": suspend}), script("true"))
    };
    let pacer = timer("pacer", json!({"every": "100ms"}), script("true"));
    agent.wants(1, vec![beat(true), pacer.clone()]).await;
    agent.until("some time", |seen| (seen.runs_in("pacer", "Succeeded").len() >= 5).then_some(())).await;
    assert_eq!(agent.seen.condition("beat", "Ready"), Some(("True".into(), "Suspended".into())));
    assert!(agent.seen.runs_in("beat", "Succeeded").is_empty());
    // The tick under way may still be the first. A machine that stalls from here on has ticks to catch up, all later.
    let first = SystemClock.now() - SignedDuration::from_millis(100);
    agent.wants(2, vec![beat(false), pacer]).await;
    agent.run("beat", "Succeeded").await;
    for run in agent.seen.runs.values().filter(|run| text(run, "/spec/workloadRef/name") == "beat") {
        let tick: Timestamp = text(run, "/spec/trigger/time").parse().unwrap();
        assert!(tick >= first, "{tick} was caught up, and the timer was suspended until {first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_cannot_be_says_so_and_recovers() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let cron = |zone: &str| timer("odd", json!({"cron": "* * * * *", "timeZone": zone}), script("true"));
    agent.wants(1, vec![cron("Nowhere/City")]).await;
    agent
        .until("the problem", |seen| {
            (seen.condition("odd", "InvalidSchedule")?.0 == "True" && !seen.is_ready("odd")).then_some(())
        })
        .await;
    agent.wants(2, vec![cron("Europe/Berlin")]).await;
    agent
        .until("its end", |seen| {
            (seen.condition("odd", "InvalidSchedule")?.0 == "False" && seen.is_ready("odd")).then_some(())
        })
        .await;
    let next = text(&agent.seen.statuses["odd-host-1"], "/nextScheduleTime");
    assert!(next.parse::<jiff::Timestamp>().is_ok(), "{next}");
}

//! An agent that stood still for a while, as in a paused machine: its clocks went on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drover_world::{Clock, SystemClock, World};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::agent::{Dir, Running, assignment, boot_id, lines, script, text};

/// The host's clock, and the time that was slept through.
#[derive(Default)]
struct Leaping(Mutex<Duration>);

impl Leaping {
    fn leap(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::try_from(*self.0.lock().unwrap()).unwrap()
    }

    fn boottime(&self) -> Duration {
        SystemClock.boottime() + *self.0.lock().unwrap()
    }
}

const PERIOD: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_23_after_a_pause_of_an_hour_nothing_restarts_and_late_timers_follow_their_policy_once() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let clock = Arc::new(Leaping::default());
    let world = World { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..World::system() };
    // Halfway between two ticks.
    let into = u64::try_from(clock.now().as_second()).unwrap() % PERIOD.as_secs();
    clock.leap(PERIOD - Duration::from_secs(into) + PERIOD / 2);
    let mut agent = Running::start_with(&dir.data(), &boot_id(), world, drover_keeper_image::install);
    let echo = script(&format!("echo $DROVER_WORKLOAD $DROVER_SCHEDULED_TIME >> {}", log.display()));
    let timer = |policy: &str| {
        let spec = json!({"every": "10m", "catchUp": policy, "template": echo.clone()});
        assignment(&policy.to_lowercase(), "Timer", spec)
    };
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    agent.wants(1, vec![web, timer("Skip"), timer("Once"), timer("All")]).await;
    let before = agent.run("web", "Running").await;
    for name in ["skip", "once", "all"] {
        agent.until("it is armed", |seen| seen.is_ready(name).then_some(())).await;
    }
    clock.leap(PERIOD * 6);
    agent.handle.standing().await.unwrap();
    agent.until("all of them", |seen| (seen.runs_in("all", "Succeeded").len() == 6).then_some(())).await;
    agent.run("once", "Succeeded").await;
    agent.until("the word of it", |seen| seen.events.get("TicksMissed").map(drop)).await;
    // The next one is on time for everybody.
    clock.leap(PERIOD / 2);
    agent.handle.standing().await.unwrap();
    for (name, count) in [("skip", 1), ("once", 2), ("all", 7)] {
        agent.until(name, |seen| (seen.runs_in(name, "Succeeded").len() == count).then_some(())).await;
    }
    let ticks = |name: &str| -> Vec<Timestamp> {
        let mine = lines(&log).into_iter().filter(|line| line.starts_with(&format!("{name} ")));
        mine.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
    };
    let all = ticks("all");
    assert!(all.windows(2).all(|pair| pair[1].duration_since(pair[0]).as_secs() == 600), "{all:?}");
    assert_eq!(ticks("once"), all[5..]);
    assert_eq!(ticks("skip"), all[6..]);
    let now = agent.run("web", "Running").await;
    assert_eq!(now["status"]["pid"], before["status"]["pid"]);
    let restarts =
        agent.seen.runs.values().filter(|run| text(run, "/spec/workloadRef/name") == "web").count();
    assert_eq!(restarts, 1, "the service was restarted");
}

//! What a start must not wait for.

use std::time::Duration;

use drover_testkit::report;
use drover_testkit::run::{Plan, run};
use drover_testkit::scenario::{Act, Deed, Who, Whose};
use drover_testkit::seed::Seed;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const TIMERS: &str = "/apis/drover.dev/v1/namespaces/default/timers";

fn call(minute: u32, method: &'static str, path: &str, body: Value) -> Act {
    Act { at: minute * MINUTE, deed: Deed::Call { method, path: path.into(), body } }
}

/// A run in which the server crashes at minute 3, after something was done to its disk at minute 2.
fn crashed_after(what: Deed) -> String {
    let timer = json!({"metadata": {"name": "t"}, "spec": {
        "every": "10m", "template": {"process": {"command": ["/bin/sim"]}},
    }});
    let (down, after) = (Duration::from_secs(1), 0);
    let crash = Deed::Crash { who: Who::Server, power: false, at_disk: false, after, down };
    let script = vec![
        call(1, "POST", TIMERS, timer),
        Act { at: 2 * MINUTE, deed: what },
        Act { at: 3 * MINUTE, deed: crash },
        call(6, "GET", &format!("{TIMERS}/t"), Value::Null),
    ];
    let plan = Plan {
        script: Some(script),
        keep: usize::MAX,
        quiet: 20 * MINUTE,
        ..Plan::new(Seed(1), 2, 12 * MINUTE)
    };
    let outcome = run(&plan);
    if outcome.violation.is_some() {
        panic!("{}", report::failure(&plan, &outcome, None));
    }
    outcome.timeline.join("\n")
}

#[test]
fn a_server_that_starts_on_a_full_disk_serves() {
    let timeline = crashed_after(Deed::Full { whose: Whose::Server, time: 8 * MINUTE });
    assert!(timeline.contains("server     down: crashed"), "{timeline}");
    assert!(timeline.contains(&format!("was answered #2 GET {TIMERS}/t: done")), "{timeline}");
}

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

#[test]
fn a_server_that_starts_on_a_full_disk_serves() {
    // It writes until there is no room for one more change.
    let timer = json!({"metadata": {"name": "t"}, "spec": {
        "every": "5s", "template": {"process": {"command": ["/bin/sim", "for=100"]}},
    }});
    let down = Duration::from_secs(10);
    let crash = Deed::Crash { who: Who::Server, power: false, at_disk: false, after: 0, down };
    let script = vec![
        call(1, "POST", TIMERS, timer),
        Act { at: 2 * MINUTE, deed: Deed::Full { whose: Whose::Server, time: 13 * MINUTE } },
        Act { at: 8 * MINUTE, deed: crash },
        call(10, "GET", &format!("{TIMERS}/t"), Value::Null),
        call(16, "DELETE", &format!("{TIMERS}/t"), Value::Null),
    ];
    let plan = Plan {
        script: Some(script),
        keep: usize::MAX,
        quiet: 20 * MINUTE,
        ..Plan::new(Seed(1), 2, 17 * MINUTE)
    };
    let outcome = run(&plan);
    if outcome.violation.is_some() {
        panic!("{}", report::failure(&plan, &outcome, None));
    }
    let timeline = outcome.timeline.join("\n");
    assert!(timeline.contains("server     down: crashed"), "it did not crash");
    assert!(timeline.contains(&format!("was answered #2 GET {TIMERS}/t: done")), "it does not serve");
}

//! Sessions over a network that does to bytes what it likes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::{Cluster, eventually, pid_of};
use crate::proxy::{EndedBy, Fault, Proxy, Script, Way};

const SEED: u64 = 32;
const TIMERS: usize = 3;
/// Far enough for the session to be on: a silence is then noticed by heartbeats.
const LATER: usize = 12;

fn scripts() -> Vec<Script> {
    use Fault::{Corrupt, Duplicate, OneWay, Reorder, Silent, Slow, Truncate};
    let both = |fault, after| [Way::Up, Way::Down].map(|way| Script { fault, way, after });
    let mut all = Vec::new();
    for fault in [Corrupt, Duplicate, Truncate] {
        // In the handshake, and in the session.
        all.extend(both(fault, 1));
        all.extend(both(fault, LATER));
    }
    for fault in [Reorder, Silent, OneWay, Slow] {
        all.extend(both(fault, LATER));
    }
    all
}

#[test]
fn case_32_whatever_a_network_does_to_bytes_no_report_is_lost_or_told_twice_and_no_session_hangs() {
    let mut proxy = None;
    let through = |cluster: &mut Cluster| {
        let started = Proxy::start(&cluster.lan, SEED);
        cluster.agent_port = started.port;
        proxy = Some(started);
    };
    let Some(cluster) = Cluster::start_with(&[&[]], &["--heartbeat-interval", "500ms"], through) else {
        return;
    };
    let proxy = proxy.unwrap();
    let fired = format!("'{}'", cluster.at("fired").display());
    cluster.program(
        "beat",
        &format!("echo \"$DROVER_RUN_UID $DROVER_WORKLOAD $DROVER_SCHEDULED_TIME\" >>{fired}"),
    );
    let mut workloads = "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \
         template: {process: {command: [sleep, '100000']}}\n"
        .to_owned();
    for number in 0..TIMERS {
        workloads += &format!(
            "---\napiVersion: drover.dev/v1\nkind: Timer\nmetadata: {{name: beat-{number}}}\nspec:\n  every: 500ms\n  \
             catchUp: All\n  concurrencyPolicy: Allow\n  successfulRunsHistoryLimit: 1000\n  \
             template: {{process: {{command: [beat]}}}}\n"
        );
    }
    cluster.apply(&workloads);
    let web = eventually("the service runs", || cluster.running("web").pop());
    eventually("the timers fire", || (cluster.written("fired").len() > TIMERS).then_some(()));

    let scripts = scripts();
    proxy.play(scripts.clone());
    eventually("everything has been done to the network", || {
        (proxy.played().len() == scripts.len()).then_some(())
    });
    for (script, by) in proxy.played() {
        // What is wrong with the bytes ends the connection; what does not come at all does, too.
        assert!(!script.fault.is_left_to_the_ends() || by != EndedBy::Proxy, "{script:?} ended by {by:?}");
    }
    cluster.all_ready();
    cluster.apply(&workloads.replace("catchUp: All", "catchUp: All\n  suspend: true"));
    let known = || -> BTreeSet<String> {
        let mut runs = cluster.list("runs");
        runs.retain(|run| run["status"]["phase"] == "Succeeded");
        runs.iter().filter_map(|run: &Value| Some(run["metadata"]["uid"].as_str()?.to_owned())).collect()
    };
    let all = eventually("everything that ran is known", || {
        let all = cluster.written("fired");
        let known = known();
        all.iter().all(|line| known.contains(line.split(' ').next().unwrap())).then_some(all)
    });
    let ticks: BTreeSet<&str> = all.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    assert_eq!(ticks.len(), all.len(), "a tick fired twice");
    let web_now = cluster.running("web").pop().expect("the service was not touched");
    assert_eq!(pid_of(&web_now), pid_of(&web));
    assert_eq!(cluster.runs("web").len(), 1);
}

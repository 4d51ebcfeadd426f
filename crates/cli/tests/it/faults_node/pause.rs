//! An agent that stands still for a while, as the whole of a virtual machine does while it is moved.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::cluster::{Cluster, eventually, pid_of};

const SERVICES: usize = 5;

#[test]
#[expect(clippy::disallowed_methods, reason = "ticks of a real agent go by the real clock")]
fn case_23_an_agent_that_was_stopped_for_a_while_restarts_nothing_and_its_late_timers_follow_their_policy() {
    let Some(cluster) = Cluster::start_with(&[&[]], &["--heartbeat-interval", "500ms"], |_| {}) else {
        return;
    };
    let fired = format!("'{}'", cluster.at("fired").display());
    cluster.program("beat", &format!("echo \"$DROVER_WORKLOAD $DROVER_SCHEDULED_TIME\" >>{fired}"));
    let mut workloads = format!(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n  replicas: {SERVICES}\n  \
         template: {{process: {{command: [sleep, '100000']}}}}\n"
    );
    for policy in ["Skip", "Once", "All"] {
        workloads += &format!(
            "---\napiVersion: drover.dev/v1\nkind: Timer\nmetadata: {{name: {}}}\nspec:\n  every: 200ms\n  \
             catchUp: {policy}\n  concurrencyPolicy: Allow\n  template: {{process: {{command: [beat]}}}}\n",
            policy.to_lowercase()
        );
    }
    cluster.apply(&workloads);
    let pids = || -> BTreeSet<u32> { cluster.running("web").iter().filter_map(pid_of).collect() };
    let before = eventually("the services run", || Some(pids()).filter(|pids| pids.len() == SERVICES));
    let ran = |name: &str| -> Vec<Timestamp> {
        let prefix = format!("{name} ");
        cluster.written("fired").iter().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect()
    };
    for name in ["skip", "once", "all"] {
        eventually("the timers fire", || (ran(name).len() > 3).then_some(()));
    }
    cluster.signal_agent(0, "STOP");
    let stopped = Timestamp::now();
    eventually("the server has noticed, and ticks have passed", || {
        let nodes = cluster.list("nodes");
        let gone = nodes[0]["status"]["session"]["connected"] == false;
        (gone && Timestamp::now().duration_since(stopped).as_millis() > 2_000).then_some(())
    });
    let woken = Timestamp::now();
    cluster.signal_agent(0, "CONT");
    cluster.all_ready();
    for name in ["skip", "once", "all"] {
        eventually("the timers go on", || ran(name).iter().any(|tick| *tick > woken).then_some(()));
    }
    assert_eq!(pids(), before);
    assert_eq!(cluster.runs("web").len(), SERVICES, "something was restarted");
    let missed = |name: &str| ran(name).into_iter().filter(|tick| *tick > stopped && *tick < woken).count();
    // The newest of them is not late yet.
    assert!(missed("skip") <= 1 && missed("once") <= 1, "{} {}", missed("skip"), missed("once"));
    let asleep = usize::try_from(woken.duration_since(stopped).as_millis() / 200).unwrap();
    eventually("all that were missed are run", || (missed("all") >= asleep - 1).then_some(()));
    for name in ["skip", "once", "all"] {
        let all = ran(name);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a tick of {name} ran twice");
    }
}

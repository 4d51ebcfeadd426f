//! Another binary takes an agent's place, again and again, while there is work.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::cluster::{Cluster, DROVER, eventually, pid_of};

const TIMERS: usize = 3;
const SERVICES: usize = 10;

#[test]
fn case_14_an_agent_replaced_in_place_restarts_no_child_and_misses_no_tick() {
    let Some(mut cluster) = Cluster::start(&[&[]]) else { return };
    let fired = format!("'{}'", cluster.at("fired").display());
    cluster.program("beat", &format!("echo \"$DROVER_WORKLOAD $DROVER_SCHEDULED_TIME\" >>{fired}"));
    let mut workloads = format!(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n  replicas: {SERVICES}\n  \
         template: {{process: {{command: [sleep, '100000']}}}}\n"
    );
    for number in 0..TIMERS {
        workloads += &format!(
            "---\napiVersion: drover.dev/v1\nkind: Timer\nmetadata: {{name: beat-{number}}}\nspec:\n  every: 250ms\n  \
             catchUp: All\n  concurrencyPolicy: Allow\n  template: {{process: {{command: [beat]}}}}\n"
        );
    }
    cluster.apply(&workloads);
    let pids =
        |cluster: &Cluster| -> BTreeSet<u32> { cluster.running("web").iter().filter_map(pid_of).collect() };
    let before =
        eventually("the services run", || Some(pids(&cluster)).filter(|pids| pids.len() == SERVICES));
    let other = cluster.at("drover-next");
    std::fs::copy(DROVER, &other).unwrap();
    let more = |cluster: &Cluster| {
        let count = cluster.written("fired").len();
        eventually("the timers go on", || {
            (cluster.written("fired").len() > count + 5 * TIMERS).then_some(())
        });
    };
    for (program, killed) in [(&other, false), (&PathBuf::from(DROVER), true), (&other, false)] {
        more(&cluster);
        if killed {
            cluster.kill_agent(0);
        } else {
            cluster.stop_agent(0);
        }
        cluster.agent_program.clone_from(program);
        cluster.start_agent(0);
        cluster.all_ready();
        let runs = std::fs::read_link(format!("/proc/{}/exe", cluster.agent_pid(0))).unwrap();
        assert_eq!(runs, program.canonicalize().unwrap());
    }
    more(&cluster);
    assert_eq!(pids(&cluster), before);
    assert_eq!(cluster.runs("web").len(), SERVICES, "a child was started again");
    for number in 0..TIMERS {
        cluster.good(&["delete", "timer", &format!("beat-{number}")]);
    }
    eventually("no timer runs", || {
        let left = cluster.list("assignments");
        left.iter().all(|left| left["spec"]["workloadRef"]["kind"] != "Timer").then_some(())
    });
    for number in 0..TIMERS {
        let prefix = format!("beat-{number} ");
        let lines = cluster.written("fired");
        let ran: Vec<Timestamp> =
            lines.iter().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
        let ticks: BTreeSet<Timestamp> = ran.iter().copied().collect();
        assert_eq!(ticks.len(), ran.len(), "a tick of beat-{number} ran twice");
        let ticks: Vec<Timestamp> = ticks.into_iter().collect();
        for pair in ticks.windows(2) {
            assert_eq!(pair[1].duration_since(pair[0]).as_millis(), 250, "beat-{number}: {pair:?}");
        }
    }
}

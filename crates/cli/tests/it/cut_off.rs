//! A server and three hosts with the timers of a real hosting company, and one host that is cut off for a while.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::acceptance::buildable;
use crate::cluster::{Cluster, eventually};

/// What each timer of `10-telemetry.yaml` runs.
const PROGRAMS: [&str; 3] = ["provirted.phar", "bw-info", "vps-info"];
/// Which timers fire once a minute, by host.
const EXPECTED: [(&str, &[&str]); 3] = [
    ("h0", &["bandwidth", "host-info", "vps-inventory"]),
    ("h1", &["host-info", "vps-inventory"]),
    ("h2", &[]),
];

/// What a program wrote down when it ran.
#[derive(Debug)]
struct Fired {
    run_uid: String,
    workload: String,
    tick: String,
}

fn fired(cluster: &Cluster, host: &str) -> Vec<Fired> {
    let lines = cluster.written(&format!("{host}.fired"));
    let split = |line: &String| {
        let mut words = line.split(' ').map(str::to_owned);
        Some(Fired { run_uid: words.next()?, workload: words.next()?, tick: words.next()? })
    };
    lines.iter().filter_map(split).collect()
}

fn count(cluster: &Cluster, host: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for fired in fired(cluster, host) {
        *counts.entry(fired.workload).or_default() += 1;
    }
    counts
}

/// Runs of a host that the server has as succeeded with exit code 0, by uid.
fn reported(cluster: &Cluster, host: &str) -> BTreeSet<String> {
    let runs = cluster.list("runs");
    let good = runs.iter().filter(|run| run["spec"]["nodeName"] == host && run["status"]["exitCode"] == 0);
    good.filter(|run| run["status"]["phase"] == "Succeeded")
        .filter_map(|run| run["metadata"]["uid"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_host_that_is_cut_off_goes_on_and_tells_every_run_once_when_it_is_back() {
    let hosts: [&[&str]; 3] =
        [&["role=vps-host", "virt=kvm"], &["role=vps-host", "virt=hyperv"], &["role=web", "virt=kvm"]];
    let Some(cluster) = Cluster::start(&hosts) else { return };
    let record = format!(
        "echo \"$DROVER_RUN_UID $DROVER_WORKLOAD $DROVER_SCHEDULED_TIME\" >>'{}'/$DROVER_NODE_NAME.fired; echo '{{}}'",
        cluster.at("").display(),
    );
    for program in PROGRAMS {
        cluster.program(program, &record);
    }
    cluster.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: hosting}\n");
    cluster.apply(&buildable("10-telemetry.yaml"));

    // Everybody runs what its labels choose, and nothing else.
    eventually("every timer has fired where it should, and its runs are known", || {
        EXPECTED
            .iter()
            .all(|(host, timers)| {
                let (counts, known) = (count(&cluster, host), reported(&cluster, host));
                timers.iter().all(|timer| counts.contains_key(*timer))
                    && fired(&cluster, host).iter().all(|fired| known.contains(&fired.run_uid))
            })
            .then_some(())
    });
    for (host, timers) in EXPECTED {
        assert_eq!(count(&cluster, host).into_keys().collect::<Vec<_>>(), timers, "{host}");
    }

    cluster.lan.cut(0);
    let before = count(&cluster, "h0");
    eventually("the timers of the host that was cut off have gone on", || {
        let now = count(&cluster, "h0");
        EXPECTED[0].1.iter().all(|timer| now[*timer] > before[*timer]).then_some(())
    });
    eventually("the server has noticed", || {
        let nodes = cluster.list("nodes");
        let node = nodes.iter().find(|node| node["metadata"]["name"] == "h0")?;
        (node["status"]["session"]["connected"] == false).then_some(())
    });
    let known = reported(&cluster, "h0");
    assert!(fired(&cluster, "h0").iter().any(|fired| !known.contains(&fired.run_uid)), "it was not cut off");

    cluster.lan.mend(0);
    eventually("every run that the host made is known", || {
        let known = reported(&cluster, "h0");
        let all = fired(&cluster, "h0");
        // Three of each timer are kept.
        let newest = |timer: &&str| {
            let of_timer = all.iter().rev().filter(|fired| fired.workload == **timer).take(3);
            of_timer.map(|fired| fired.run_uid.clone()).collect::<Vec<_>>()
        };
        EXPECTED[0].1.iter().flat_map(newest).all(|uid| known.contains(&uid)).then_some(())
    });
    for (host, _) in EXPECTED {
        let all = fired(&cluster, host);
        let ticks: BTreeSet<_> = all.iter().map(|fired| (&fired.workload, &fired.tick)).collect();
        assert_eq!(ticks.len(), all.len(), "{host}: a tick fired twice: {all:?}");
        let made: BTreeSet<_> = all.iter().map(|fired| fired.run_uid.clone()).collect();
        let told = reported(&cluster, host);
        assert!(told.is_subset(&made), "{host}: runs were told that never were: {told:?} {made:?}");
    }
    let timers = cluster.list("timers");
    let nodes = |name: &str| {
        let timer = timers.iter().find(|timer: &&Value| timer["metadata"]["name"] == name);
        timer.map(|timer| (timer["status"]["desired"].clone(), timer["status"]["ready"].clone()))
    };
    assert_eq!(nodes("host-info"), Some((2.into(), 2.into())));
    assert_eq!(nodes("bandwidth"), Some((1.into(), 1.into())));
    assert_eq!(nodes("host-info-extra"), Some((2.into(), 2.into())));
}

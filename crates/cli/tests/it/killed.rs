//! `kill -9` of everything that can be killed, while there is much to do.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use crate::cluster::{Cluster, condition, eventually, exists, pid_of, signal_to};

const TIMERS: usize = 5;

fn workloads() -> String {
    let mut text = String::new();
    for number in 0..TIMERS {
        text += &format!(
            "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {{name: beat-{number}}}\nspec:\n  every: 1s\n  \
             catchUp: All\n  concurrencyPolicy: Allow\n  successfulRunsHistoryLimit: 1000\n  \
             failedRunsHistoryLimit: 1000\n  template: {{process: {{command: [beat]}}}}\n---\n"
        );
    }
    text + "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  restart: {backoff: 200ms}\n  \
            template: {process: {command: [web], terminationGracePeriod: 2s}}\n---\n\
            apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: long}\nspec:\n  mode: Once\n  \
            template: {retry: {limit: 0}, process: {command: [long]}}\n"
}

fn start(hosts: &[&[&str]]) -> Option<Cluster> {
    let cluster = Cluster::start(hosts)?;
    let here = cluster.at("").display().to_string();
    let fired = format!("'{here}'/$DROVER_NODE_NAME.fired");
    cluster.program(
        "beat",
        &format!("echo \"$DROVER_RUN_UID $DROVER_WORKLOAD $DROVER_SCHEDULED_TIME\" >>{fired}"),
    );
    // Two at once would find the lock taken.
    let lock = format!("'{here}'/$DROVER_NODE_NAME.lock");
    let twice = format!("'{here}'/$DROVER_NODE_NAME.twice");
    cluster.program(
        "web",
        &format!(
            "exec 9>{lock}; flock -n 9 || echo \"$DROVER_RUN_UID\" >>{twice}; echo \"up $DROVER_RUN_UID\"; \
             sleep 100000 & wait $!"
        ),
    );
    cluster
        .program("long", "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; exit 7");
    Some(cluster)
}

fn service_run(cluster: &Cluster, host: &str) -> Option<Value> {
    let runs = cluster.runs("web");
    runs.into_iter().find(|run| run["spec"]["nodeName"] == host && run["status"]["phase"] == "Running")
}

fn kill(pid: u32) {
    signal_to("KILL", pid);
}

/// Waits until the service has another process on a host than `old`, and returns its run.
fn replaced(cluster: &Cluster, host: &str, old: &Value) -> Value {
    eventually("the service runs again", || {
        service_run(cluster, host).filter(|run| run["metadata"]["uid"] != old["metadata"]["uid"])
    })
}

#[test]
fn whatever_is_killed_nothing_is_lost_and_nothing_happens_twice() {
    let Some(mut cluster) = start(&[&[], &[]]) else { return };
    cluster.apply(&workloads());
    eventually("the service runs on both hosts", || {
        (service_run(&cluster, "h0").is_some() && service_run(&cluster, "h1").is_some()).then_some(())
    });
    let long = eventually("the long task runs", || {
        let on_h0 = |run: &Value| run["spec"]["nodeName"] == "h0" && run["status"]["phase"] == "Running";
        cluster.runs("long").into_iter().find(on_h0)
    });
    let mut followed = cluster.begin(&["logs", "-f", long["metadata"]["name"].as_str().unwrap()]);
    // It follows from here on: a server that is gone before a command has reached it is an error, not an interruption.
    let mut output = BufReader::new(followed.stdout.take().unwrap());
    let mut told = String::new();
    output.read_line(&mut told).unwrap();
    let mut acknowledged = Vec::new();
    let mut write = |cluster: &Cluster, name: String| {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        std::fs::write(cluster.at("note.yaml"), text).unwrap();
        if cluster.drover(&["apply", "-f", "note.yaml"]).status.success() {
            acknowledged.push(name);
        }
    };
    for round in 0..2 {
        write(&cluster, format!("before-server-{round}"));
        cluster.kill_server();
        cluster.start_server();
        write(&cluster, format!("after-server-{round}"));

        cluster.kill_agent(0);
        cluster.start_agent(0);
        cluster.all_ready();
        write(&cluster, format!("after-agent-{round}"));

        let old = service_run(&cluster, "h0").expect("an agent's death ends no service");
        kill(pid_of(&old).unwrap());
        let new = replaced(&cluster, "h0", &old);
        let ended =
            cluster.runs("web").into_iter().find(|run| run["metadata"]["uid"] == old["metadata"]["uid"]);
        if let Some(ended) = ended {
            assert_eq!(
                (&ended["status"]["phase"], &ended["status"]["signal"]),
                (&"Failed".into(), &"SIGKILL".into())
            );
        }
        assert_ne!(pid_of(&new), pid_of(&old));
    }

    // The long task lived through all of it on both hosts: its exit code and all its output are there.
    let runs = eventually("the long task has ended", || {
        let runs = cluster.runs("long");
        (runs.len() == 2 && runs.iter().all(|run| run["status"]["phase"] == "Failed")).then_some(runs)
    });
    let whole: String = (0..300).map(|line| format!("line {line}\n")).collect();
    for run in &runs {
        assert_eq!(run["status"]["exitCode"], 7, "{run}");
        assert_eq!(cluster.good(&["logs", run["metadata"]["name"].as_str().unwrap()]), whole);
    }
    output.read_to_string(&mut told).unwrap();
    assert_eq!(told, whole, "followed through all of it");
    assert!(followed.wait().unwrap().success());
    let task = cluster.list("tasks").into_iter().find(|task| task["metadata"]["name"] == "long").unwrap();
    assert_eq!(condition(&task, "Failed").map(|c| c["status"].clone()), Some("True".into()), "{task}");

    for name in &acknowledged {
        cluster.good(&["get", "configmap", name]);
    }
    assert!(acknowledged.len() >= 6, "writes were refused: {acknowledged:?}");

    // No more ticks; then what was done and what was told must be the same.
    let quiet = workloads().replace("every: 1s", "every: 1s\n  suspend: true");
    cluster.apply(&quiet);
    for host in ["h0", "h1"] {
        let fired = eventually("everything that ran is known", || {
            let fired = cluster.written(&format!("{host}.fired"));
            let known: BTreeSet<String> = cluster
                .list("runs")
                .iter()
                .filter(|run| run["status"]["phase"] == "Succeeded")
                .filter_map(|run| run["metadata"]["uid"].as_str().map(str::to_owned))
                .collect();
            fired.iter().all(|line| known.contains(line.split(' ').next().unwrap())).then_some(fired)
        });
        let ticks: BTreeSet<&str> =
            fired.iter().filter_map(|line| line.split_once(' ')).map(|(_, tick)| tick).collect();
        assert_eq!(ticks.len(), fired.len(), "{host}: a tick fired twice");
        assert!(fired.len() >= 10 * TIMERS, "{host}: only {} ticks", fired.len());
        assert_eq!(
            cluster.written(&format!("{host}.twice")),
            Vec::<String>::new(),
            "{host}: a service ran twice"
        );
    }

    // With everything deleted, nothing but the agents is left on the hosts.
    for (kind, name) in (0..TIMERS)
        .map(|n| ("timer", format!("beat-{n}")))
        .chain([("service", "web".to_owned()), ("task", "long".to_owned())])
    {
        cluster.good(&["delete", kind, &name]);
    }
    for host in 0..2 {
        let agent = cluster.agents[host].as_ref().unwrap().0.id();
        eventually("no process is orphaned", || (cluster.lan.processes(host) == [agent]).then_some(()));
    }
    eventually("nothing is left of what was deleted", || {
        (cluster.list("assignments").is_empty() && cluster.list("runs").is_empty()).then_some(())
    });
}

#[test]
fn a_killed_keeper_takes_its_tree_along_and_the_service_starts_again_once() {
    let Some(cluster) = start(&[&[]]) else { return };
    cluster.apply(&workloads());
    for _ in 0..2 {
        let old = eventually("the service runs", || service_run(&cluster, "h0"));
        let pid = pid_of(&old).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let keeper: u32 = after_name.split_whitespace().nth(1).unwrap().parse().unwrap();
        kill(keeper);
        let new = replaced(&cluster, "h0", &old);
        assert!(!exists(pid), "the process of the killed keeper lives on");
        let lost = eventually("the run of the killed keeper is told", || {
            let runs = cluster.runs("web");
            runs.into_iter().find(|run| {
                run["metadata"]["uid"] == old["metadata"]["uid"] && run["status"]["phase"] != "Running"
            })
        });
        assert_eq!(
            (&lost["status"]["phase"], &lost["status"]["reason"]),
            (&"Lost".into(), &"KeeperDied".into())
        );
        let uid = old["metadata"]["uid"].as_str().unwrap();
        assert_eq!(lost["status"]["outputTail"], format!("up {uid}\n"));
        assert_eq!(cluster.good(&["logs", old["metadata"]["name"].as_str().unwrap()]), format!("up {uid}\n"));
        let running = cluster.runs("web").iter().filter(|run| run["status"]["phase"] == "Running").count();
        assert_eq!(running, 1);
        assert!(exists(pid_of(&new).unwrap()));
    }
    assert_eq!(cluster.written("h0.twice"), Vec::<String>::new());
}

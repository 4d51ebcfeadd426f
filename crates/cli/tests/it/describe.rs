//! `describe`: the object and the chain below it.

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::drover;
use crate::serving::{Api, still};

/// Without what differs from run to run: instants and ages of the objects themselves.
fn steady(said: &str) -> String {
    let kept = said.lines().filter(|line| !line.starts_with("Created:"));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_timer_is_described_down_to_the_output_of_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    let beat = api.create(
        Kind::Timer,
        &json!({
            "metadata": {"name": "beat"},
            "spec": {
                "cron": "0 3 * * *", "placement": {"nodeSelector": {"tier": "web"}},
                "template": {"process": {"command": ["/bin/beat"]}, "timeout": "5m"},
            },
            "status": {
                "observedGeneration": 1, "desired": 2, "ready": 1, "failing": 1, "active": 0,
                "conditions": [],
            },
        }),
    );
    let workload = json!({"kind": "Timer", "name": "beat", "uid": beat["metadata"]["uid"], "generation": 1});
    let spec = json!({"nodeName": "a", "workloadRef": workload, "timer": {
        "cron": "0 3 * * *", "template": {"process": {"command": ["/bin/beat"]}},
    }});
    api.create(Kind::Assignment, &json!({"metadata": {"name": "beat-a"}, "spec": spec}));
    let run = |name: &str, second: u32, tail: &str| -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {"nodeName": "a", "workloadRef": workload, "assignmentRef": "beat-a", "attempt": 1},
            "status": {
                "phase": "Failed", "exitCode": 3, "outputTail": tail,
                "startedAt": format!("2024-01-01T00:00:0{second}Z"), "finishedAt": "2024-01-01T00:00:09Z",
            },
        })
    };
    api.create(Kind::Run, &run("beat-1", 1, "older\n"));
    api.create(Kind::Run, &run("beat-2", 2, "one\n\u{1b}[31mtwo\n"));
    let said = drover(at, &["describe", "timer", "beat"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let page = steady(&said.stdout);
    assert!(
        page.starts_with(
            "Name:               beat\nNamespace:          default\nLabels:             <none>\n\
             Annotations:        <none>\nSchedule:           0 3 * * *\n"
        ),
        "{page}"
    );
    for part in [
        "Placement:          tier=web\n",
        "Nodes:              1/2 ready\n",
        "Template:\n  process:\n    command:\n      - /bin/beat\n  timeout: 5m\n",
        "Assignments: 1\n  NAME     NODE   READY",
        "Runs: 2\n  NAME     NODE   PHASE    EXIT   STARTED",
        "\n  beat-2   a      Failed   3      ",
        "Output of beat-2 on a:\n  one\n  \\u{1b}[31mtwo\nOutput of beat-1 on a:\n  older\n",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
    assert!(page.find("beat-2").unwrap() < page.find("beat-1").unwrap(), "{page}");
    assert!(page.ends_with("Events:             <none>\n"), "{page}");
}

#[test]
fn a_node_is_described_with_what_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    api.create(
        Kind::Node,
        &json!({
            "metadata": {"name": "a"},
            "spec": {"taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]},
            "status": {
                "pool": "web", "session": {"serverId": "s", "connected": true, "changedAt": "2024-01-01T00:00:00Z"},
                "nodeInfo": {"machineID": "", "bootID": "", "kernelVersion": "6.1.0", "osImage": "Debian 12",
                    "operatingSystem": "linux", "architecture": "amd64", "kubeletVersion": "0.1.0"},
                "capacity": {"cpu": "2", "memory": "1Gi"},
            },
        }),
    );
    let said = drover(at, &["describe", "node/a"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for part in [
        "Pool:               web\n",
        "Taints:             dedicated=db:NoSchedule\n",
        "Session:            connected since 2024-01-01T00:00:00Z (",
        "Capacity:           cpu=2\n                    memory=1Gi\n",
        "Kernel:             6.1.0\n",
    ] {
        assert!(said.stdout.contains(part), "{part:?} is not in\n{}", said.stdout);
    }
}

//! An agent that may open few files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::{Cluster, eventually, open_files, pid_of, signal_to};

const LIMIT: usize = 256;
/// Half of them are on live runs, the rest is the agent's own.
const ROOM: usize = LIMIT / 2;

fn service(name: &str, replicas: usize) -> String {
    format!(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  \
         restart: {{backoff: 1s, maxBackoff: 2s}}\n  template: {{process: {{command: [sleep, '100000']}}}}\n"
    )
}

fn pids(runs: &[Value]) -> BTreeSet<u32> {
    runs.iter().filter_map(pid_of).collect()
}

#[test]
fn case_21_an_agent_short_of_descriptors_goes_on_supervising_refuses_more_with_a_reason_and_recovers() {
    let few = ["sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\""];
    let limit = |cluster: &mut Cluster| cluster.agent_wrapper = few.map(str::to_owned).into();
    let Some(mut cluster) = Cluster::start_with(&[&[]], &[], limit) else { return };
    cluster.apply(&service("web", 3));
    let web =
        eventually("the first run", || Some(pids(&cluster.running("web"))).filter(|pids| pids.len() == 3));
    cluster.apply(&service("many", ROOM + 7));
    let many = eventually("as many run as there is room for", || {
        Some(pids(&cluster.running("many"))).filter(|pids| pids.len() == ROOM - 3)
    });
    let refused = eventually("the others are refused with a reason", || {
        cluster.runs("many").into_iter().find(|run| run["status"]["reason"] == "StartFailed")
    });
    let message = refused["status"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("the agent's limit of {LIMIT} open files")), "{message}");
    eventually("the workload says so", || {
        let held = cluster.list("assignments");
        let held = held.iter().find(|held| held["spec"]["workloadRef"]["name"] == "many")?;
        held["status"]["conditions"].to_string().contains("open files").then_some(())
    });
    assert!(open_files(cluster.agent_pid(0)) < LIMIT * 3 / 4, "{}", open_files(cluster.agent_pid(0)));

    // As many as there is room for are found again, and watched.
    cluster.kill_agent(0);
    cluster.start_agent(0);
    cluster.all_ready();
    assert_eq!(pids(&cluster.running("web")), web);
    assert_eq!(pids(&cluster.running("many")), many);
    let victim = *web.first().unwrap();
    signal_to("KILL", victim);
    eventually("its end is noticed", || {
        let ended = |run: &Value| run["status"]["phase"] == "Failed" && run["status"]["signal"] == "SIGKILL";
        cluster.runs("web").iter().any(ended).then_some(())
    });
    cluster.apply(&service("many", 5));
    eventually("everything runs", || {
        (cluster.running("web").len() == 3 && cluster.running("many").len() == 5).then_some(())
    });
    let now = pids(&cluster.running("web"));
    assert!(web.iter().filter(|pid| **pid != victim).all(|pid| now.contains(pid)), "{web:?} {now:?}");
}

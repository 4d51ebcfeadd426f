//! An agent that is killed while a hundred processes run.

use std::collections::BTreeMap;

use crate::cluster::{Cluster, eventually, exists, pid_of, signal_to};

const CHILDREN: usize = 100;

#[test]
fn case_13_a_hundred_children_outlive_a_killed_agent_and_are_all_found_again_with_every_line() {
    let Some(mut cluster) = Cluster::start(&[&[]]) else { return };
    let counts = cluster.at("counts");
    std::fs::create_dir(&counts).unwrap();
    let file = format!("'{}'/$DROVER_RUN_UID", counts.display());
    cluster
        .program("count", &format!("i=0; while :; do i=$((i+1)); echo $i; echo $i >>{file}; sleep 1; done"));
    cluster.apply(&format!(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {{name: many}}\nspec:\n  replicas: {CHILDREN}\n  \
         template: {{process: {{command: [count]}}}}\n"
    ));
    let before = eventually("all of them run", || {
        let runs = cluster.running("many");
        (runs.len() == CHILDREN).then_some(runs)
    });
    let pids: BTreeMap<String, u32> = before
        .iter()
        .map(|run| (run["metadata"]["uid"].as_str().unwrap().to_owned(), pid_of(run).unwrap()))
        .collect();
    cluster.kill_agent(0);
    let counted =
        |uid: &String| std::fs::read_to_string(counts.join(uid)).unwrap_or_default().lines().count();
    let at_kill: BTreeMap<&String, usize> = pids.keys().map(|uid| (uid, counted(uid))).collect();
    eventually("all of them go on without an agent", || {
        at_kill.iter().all(|(uid, count)| counted(uid) > count + 1).then_some(())
    });
    cluster.start_agent(0);
    cluster.all_ready();
    // That the new agent knows them shows in what it notices: one that ends is replaced, the others are left alone.
    let (victim, pid) = pids.first_key_value().unwrap();
    signal_to("KILL", *pid);
    let after = eventually("the one is replaced", || {
        let runs = cluster.running("many");
        let replaced = runs.iter().all(|run| run["metadata"]["uid"] != victim.as_str());
        (replaced && runs.len() == CHILDREN).then_some(runs)
    });
    let kept = after.iter().filter(|run| {
        let uid = run["metadata"]["uid"].as_str().unwrap();
        pids.get(uid).is_some_and(|pid| pid_of(run) == Some(*pid) && exists(*pid))
    });
    assert_eq!(kept.count(), CHILDREN - 1);
    let all = cluster.runs("many");
    assert_eq!(all.len(), CHILDREN + 1, "more than the one was started again");
    for run in before.iter().skip(1).step_by(10) {
        let uid = run["metadata"]["uid"].as_str().unwrap().to_owned();
        let so_far = counted(&uid);
        let text = cluster.good(&["logs", run["metadata"]["name"].as_str().unwrap()]);
        let lines: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(lines.len() >= so_far - 1, "{} of {so_far} lines", lines.len());
        assert!(lines.iter().copied().eq(1..=lines.len()), "a line is missing: {lines:?}");
    }
    cluster.good(&["delete", "service", "many"]);
    let agent = cluster.agent_pid(0);
    eventually("nothing is left of them", || (cluster.lan.processes(0) == [agent]).then_some(()));
}

//! A backup while much is written, and a restore to a new host with agents that know better.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::shim;
use crate::cluster::{Cluster, condition, eventually};
use crate::drover::drover;
use crate::serving::{serve, serve_in};

const WRITERS: usize = 3;
const MAPS: usize = 5;
const TIMERS: usize = 3;

fn workloads() -> String {
    let mut text = String::new();
    for number in 0..TIMERS {
        text += &format!(
            "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {{name: beat-{number}}}\nspec:\n  every: 1s\n  \
             catchUp: All\n  concurrencyPolicy: Allow\n  template: {{process: {{command: [beat]}}}}\n---\n"
        );
    }
    for (name, placement) in [("gap", ""), ("late", "  placement: {nodeSelector: {late: \"yes\"}}\n")] {
        text += &format!(
            "apiVersion: drover.dev/v1\nkind: Task\nmetadata: {{name: {name}}}\nspec:\n  mode: Once\n{placement}  \
             template: {{retry: {{limit: 0}}, process: {{command: [{name}]}}}}\n---\n"
        );
    }
    text + "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \
            template: {process: {command: [web], terminationGracePeriod: 2s}}\n"
}

fn node_with(label: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: h0, labels: {{{label}}}}}\n")
}

fn programs(cluster: &Cluster) {
    let here = cluster.at("").display().to_string();
    let file = |name: &str| format!("'{here}'/$DROVER_NODE_NAME.{name}");
    cluster.program("beat", &format!("echo \"$DROVER_WORKLOAD $DROVER_SCHEDULED_TIME\" >>{}", file("fired")));
    let wait = format!("while [ ! -e '{here}'/gate ]; do sleep 0.05; done");
    cluster.program("gap", &format!("echo ran >>{}; {wait}", file("gap")));
    cluster.program("late", &format!("echo ran >>{}", file("late")));
    // Two at once would find the lock taken.
    let web = format!(
        "exec 9>{}; flock -n 9 || echo twice >>{}; sleep 100000 & wait $!",
        file("lock"),
        file("twice")
    );
    cluster.program("web", &web);
}

fn map(writer: usize, index: usize, round: u64) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{writer}-{index}}}\ndata: {{round: \"{round}\"}}\n---\n"
    )
}

/// What writer `writer` writes in its round.
fn maps(writer: usize, round: u64) -> String {
    (0..MAPS).map(|index| map(writer, index, round)).collect()
}

/// Rounds begun and rounds done.
#[derive(Default)]
struct Rounds {
    begun: AtomicU64,
    done: AtomicU64,
}

fn service_run(cluster: &Cluster) -> Option<Value> {
    let mut runs = cluster.runs("web").into_iter();
    runs.find(|run| run["spec"]["nodeName"] == "h0" && run["status"]["phase"] == "Running")
}

fn task(cluster: &Cluster, name: &str) -> Option<Value> {
    cluster.list("tasks").into_iter().find(|task| task["metadata"]["name"] == name)
}

fn is_complete(cluster: &Cluster, name: &str) -> Option<()> {
    (condition(&task(cluster, name)?, "Complete")?["status"] == "True").then_some(())
}

fn lines_of(cluster: &Cluster, name: &str) -> usize {
    cluster.written(&format!("h0.{name}")).len()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Takes a backup between two writes of each writer at least. What each had done before and begun after.
fn back_up(cluster: &Cluster, stop: &AtomicBool, rounds: &[Rounds]) -> Vec<(u64, u64)> {
    std::thread::scope(|scope| {
        for (writer, round) in rounds.iter().enumerate() {
            scope.spawn(move || {
                let file = format!("maps-{writer}.yaml");
                while !stop.load(Ordering::SeqCst) {
                    let number = round.begun.fetch_add(1, Ordering::SeqCst) + 1;
                    // Each by itself: an `apply` of several has several writes under way at once.
                    for index in 0..MAPS {
                        fs::write(cluster.at(&file), map(writer, index, number)).unwrap();
                        cluster.good(&["apply", "-f", &file]);
                    }
                    round.done.store(number, Ordering::SeqCst);
                }
            });
        }
        let on = |from: &[u64]| {
            eventually("everybody writes", || {
                rounds.iter().zip(from).all(|(r, from)| r.done.load(Ordering::SeqCst) > *from).then_some(())
            });
        };
        on(&[0; WRITERS]);
        let before: Vec<u64> = rounds.iter().map(|round| round.done.load(Ordering::SeqCst)).collect();
        cluster.good(&["backup", "b"]);
        let after: Vec<u64> = rounds.iter().map(|round| round.begun.load(Ordering::SeqCst)).collect();
        on(&after);
        stop.store(true, Ordering::SeqCst);
        before.into_iter().zip(after).collect()
    })
}

#[test]
fn case_11_a_backup_under_load_restored_to_a_new_host_is_equal_and_nothing_runs_twice() {
    let Some(mut cluster) = Cluster::start(&[&[]]) else { return };
    programs(&cluster);
    cluster.apply(&workloads());
    let web = eventually("the service runs", || service_run(&cluster));
    eventually("the task runs", || (lines_of(&cluster, "gap") == 1).then_some(()));
    let rounds: Vec<Rounds> = (0..WRITERS).map(|_| Rounds::default()).collect();
    let spans = back_up(&cluster, &AtomicBool::new(false), &rounds);

    // After the backup: a task ends, is deleted and forgotten; another one, that had no node yet, gets one and runs.
    fs::write(cluster.at("gate"), "").unwrap();
    eventually("the task is done", || is_complete(&cluster, "gap"));
    cluster.good(&["delete", "task", "gap"]);
    cluster.apply(&node_with("late: \"yes\""));
    eventually("the late task is done", || is_complete(&cluster, "late"));
    eventually("nothing is left of the other", || {
        let of = |object: &Value| object["spec"]["workloadRef"]["name"] == "gap";
        (!cluster.list("assignments").iter().any(of) && cluster.runs("gap").is_empty()).then_some(())
    });

    // A copy by hand, and then time goes on.
    cluster.kill_server();
    copy(&cluster.at("hub"), &cluster.at("raw"));
    cluster.start_server();
    cluster.all_ready();
    let seen = lines_of(&cluster, "fired");
    eventually("time goes on", || (lines_of(&cluster, "fired") > seen + TIMERS).then_some(()));
    eventually("and is told", || {
        let told = cluster.list("runs");
        let newest = cluster.written("h0.fired").last()?.split_once(' ')?.1.to_owned();
        told.iter().any(|run| run["spec"]["trigger"]["time"].as_str() >= Some(&newest)).then_some(())
    });
    cluster.kill_server();

    // Put back by hand it is refused: nodes have seen more of the same history.
    cluster.start_server_on("raw");
    eventually("the node refuses the older copy", || {
        let said = fs::read_to_string(cluster.at("h0.log")).unwrap()
            + &fs::read_to_string(cluster.at("server.log")).unwrap();
        said.contains("drover restore").then_some(())
    });
    let node = cluster.list("nodes").remove(0);
    assert_eq!(node["status"]["session"]["connected"], false, "{node}");
    cluster.kill_server();

    // Restored, it is another history, and the node comes.
    cluster.good(&["restore", "b", "--data-dir", "new"]);
    cluster.start_server_on("new");
    cluster.all_ready();
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for map in cluster.list("configmaps") {
        let round = map["data"]["round"].as_str().and_then(|round| round.parse().ok());
        found.insert(map["metadata"]["name"].as_str().unwrap().to_owned(), round.unwrap());
    }
    for (writer, (before, after)) in spans.iter().enumerate() {
        let of: Vec<u64> = (0..MAPS).map(|index| found[&format!("m{writer}-{index}")]).collect();
        assert!(of.iter().all(|round| before <= round && round <= after), "{of:?} of {before}..={after}");
        // Written one after the other: of one moment, the earlier ones are ahead by one at most.
        assert!(of.is_sorted_by(|a, b| a >= b) && of[0] - of[MAPS - 1] <= 1, "not of one moment: {of:?}");
    }

    eventually("what the task came to is told again", || is_complete(&cluster, "gap"));
    eventually("no run of before goes on for ever", || {
        let open = |run: &Value| run["status"]["phase"] == "Running";
        (!cluster.runs("gap").iter().any(open)).then_some(())
    });
    cluster.apply(&node_with("late: \"yes\""));
    eventually("the late task is known to have run", || is_complete(&cluster, "late"));
    let seen = lines_of(&cluster, "fired");
    eventually("timers fire", || (lines_of(&cluster, "fired") > seen + 2 * TIMERS).then_some(()));
    for task in ["gap", "late"] {
        assert_eq!(lines_of(&cluster, task), 1, "{task} ran twice");
    }
    let fired = cluster.written("h0.fired");
    let ticks: BTreeSet<&String> = fired.iter().collect();
    assert_eq!(ticks.len(), fired.len(), "a tick fired twice");
    let again = eventually("the service is told", || service_run(&cluster));
    assert_eq!(again["metadata"]["uid"], web["metadata"]["uid"], "the service was started again");
    assert_eq!(again["status"]["pid"], web["status"]["pid"]);
    assert_eq!(cluster.written("h0.twice"), Vec::<String>::new());
}

#[test]
fn case_11_a_restore_that_is_killed_leaves_nothing_that_a_server_starts_on_or_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let Some(layer) = shim::build("halt", at) else { return };
    fs::write(at.join("a.yaml"), maps(0, 7)).unwrap();
    let server = serve(at);
    let [_, backup] = [&["apply", "-f", "a.yaml"][..], &["backup", "b"]].map(|args| {
        let said = drover(at, args);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        said.stdout
    });
    drop(server);
    // With what the server had made for itself by then.
    let keys =
        backup.split(", ").find(|part| part.ends_with(" keys")).expect("a backup says how much is in it");
    let restore = |step: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
        command.args(["restore", "b", "--data-dir", "new"]).current_dir(at).env_clear();
        command.env("LD_PRELOAD", &layer).env("DROVER_HALT", step.to_string());
        command.output().unwrap().status.code()
    };
    let (mut nothing, mut whole) = (0, 0);
    for step in 1.. {
        let code = restore(step);
        if code == Some(0) {
            break;
        }
        assert_eq!(code, Some(99), "step {step}");
        if at.join("new").exists() {
            // All of it was there: nothing but a sync of its name was left to do.
            let said = drover(at, &["backup", "c", "--data-dir", "new"]);
            assert!(
                said.stdout.contains(&format!(", {keys}, ")),
                "step {step}: {}{}",
                said.stdout,
                said.stderr
            );
            fs::remove_dir_all(at.join("new")).unwrap();
            whole += 1;
        } else {
            nothing += 1;
        }
    }
    assert!(nothing > 20 && whole > 0, "{nothing} killed before, {whole} after");
    assert!(!at.join("new.restoring").exists(), "what the killed ones left is gone");
    let _again = serve_in(at, "new");
    let said = drover(at, &["get", "configmaps", "-o", "name", "--kubeconfig", "new/kubeconfig"]);
    assert_eq!(said.stdout.lines().count(), MAPS, "{}", said.stderr);
}

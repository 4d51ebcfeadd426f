//! A data directory that takes nothing any more.

use std::process::Command;

use serde_json::Value;

use crate::cluster::{Cluster, eventually, pid_of, signal_to};

fn possible() -> bool {
    let unshared = Command::new("unshare").args(["--mount", "true"]).status();
    unshared.is_ok_and(|status| status.success())
}

fn remount(agent: u32, how: &str, path: &str) {
    let mut command = Command::new("nsenter");
    command.args(["--mount", "-t", &agent.to_string(), "mount", "-o", &format!("remount,{how},bind"), path]);
    assert!(command.status().unwrap().success(), "the data directory cannot be made {how}");
}

#[test]
fn case_22_an_agent_on_a_read_only_disk_goes_on_from_memory_says_so_and_heals_without_a_restart() {
    if !possible() {
        return eprintln!("skipped: no mount namespace can be made here");
    }
    let Some(mut cluster) = Cluster::start(&[&[]]) else { return };
    let go = cluster.at("go");
    cluster.program(
        "long",
        &format!("while [ ! -e '{}' ]; do sleep 0.05; done; echo over; exit 7", go.display()),
    );
    cluster.program("web", "echo up; exec sleep 100000");
    cluster.apply(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \
         template: {process: {command: [web]}}\n---\n\
         apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: long}\nspec:\n  mode: Once\n  \
         template: {retry: {limit: 0}, process: {command: [long]}}\n",
    );
    let long = eventually("the task runs", || cluster.running("long").pop());
    let web = eventually("the service runs", || cluster.running("web").pop());

    // Its disk has become read-only while it was down, and it comes back as another version.
    cluster.kill_agent(0);
    for file in std::fs::read_dir(cluster.at("h0")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("keeper-") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let data = cluster.at("h0").display().to_string();
    let shut =
        format!("mount --bind '{data}' '{data}' && mount -o remount,ro,bind '{data}' && exec \"$0\" \"$@\"");
    cluster.agent_wrapper =
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", &shut].map(str::to_owned).into();
    cluster.start_agent(0);
    cluster.all_ready();
    assert_eq!(cluster.good(&["logs", web["metadata"]["name"].as_str().unwrap()]), "up\n");
    // Something ends by itself, something by force, and more is asked for.
    std::fs::write(&go, "").unwrap();
    signal_to("KILL", pid_of(&web).unwrap());
    cluster.apply(
        "apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: later}\nspec:\n  mode: Once\n  \
         template: {process: {command: ['true']}}\n",
    );
    let log = || std::fs::read_to_string(cluster.at("h0.log")).unwrap_or_default();
    for word in ["the journal cannot be written", "a new desired state cannot be stored"] {
        eventually(word, || log().contains(word).then_some(()));
    }
    let name = long["metadata"]["name"].as_str().unwrap();
    eventually("its last words can be read", || {
        (cluster.drover(&["logs", name]).stdout == b"over\n").then_some(())
    });
    let agent = cluster.agents[0].as_mut().unwrap();
    assert!(agent.0.try_wait().unwrap().is_none(), "the agent gave up");

    remount(cluster.agent_pid(0), "rw", &data);
    let ended = eventually("the end of the task is known", || {
        cluster.runs("long").into_iter().find(|run| run["status"]["phase"] == "Failed")
    });
    assert_eq!(ended["status"]["exitCode"], 7);
    eventually("the service runs again", || {
        cluster.running("web").into_iter().find(|run| run["metadata"]["uid"] != web["metadata"]["uid"])
    });
    eventually("what was asked for meanwhile is done", || {
        cluster.runs("later").into_iter().find(|run| run["status"]["phase"] == "Succeeded")
    });
    eventually("it has said so", || {
        let said = |event: &Value| event["reason"] == "DiskUnwritable";
        cluster.list("events").iter().any(said).then_some(())
    });
    let agent = cluster.agents[0].as_mut().unwrap();
    assert!(agent.0.try_wait().unwrap().is_none(), "the agent gave up");
}

//! `drover dev` with the quickstart, as the README says.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cluster::{Process, eventually};
use crate::drover::drover;

#[test]
fn the_quickstart_shows_a_timer_a_task_and_a_service_on_real_processes() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/quickstart");
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["dev", "--listen", "127.0.0.1:0", "-f"])
        .arg(manifests)
        .current_dir(folder.path())
        .env_remove("KUBECONFIG")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut dev = Process(child);
    let mut said = Vec::new();
    let mut wanted = vec![
        ("timer/heartbeat", "succeeded on "),
        ("task/first-look", "complete: 1 succeeded"),
        ("service/ticker", "available"),
    ];
    while !wanted.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("dev ended: {said:#?}")).unwrap();
        wanted.retain(|(object, what)| !(line.contains(object) && line.contains(what)));
        said.push(line);
    }
    let called = drover(folder.path(), &["run", "greet", "-p", "who=world", "-p", "times=2", "--follow"]);
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
    assert!(called.stdout.contains("Hello, world!\nHello, world!\n"), "{}", called.stdout);
    let ticks = drover(folder.path(), &["logs", "service/ticker"]);
    assert!(ticks.stdout.starts_with("tick 1\n"), "{}{}", ticks.stdout, ticks.stderr);

    // What dev started ends with it when it is asked to.
    let pid = dev.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(dev.0.wait().unwrap().success());
    let runs = folder.path().join(".drover/node/runs").display().to_string();
    eventually("no keeper of dev is left", || {
        let found = Command::new("pgrep").args(["-f", &runs]).output().unwrap();
        found.stdout.is_empty().then_some(())
    });
}

#[test]
fn a_bad_manifest_or_place_is_told_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("a.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: NO}\n").unwrap();
    let said = drover(at, &["dev", "--listen", "127.0.0.1:0", "-f", "a.yaml"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{}", said.stderr);
    assert!(
        said.stderr.contains("a.yaml:3:18") && said.stderr.contains("nothing was started"),
        "{}",
        said.stderr
    );
    let said = drover(at, &["dev", "--listen", "127.0.0.1:0", "-f", "gone.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("gone.yaml: no such file"), "{}", said.stderr);
    assert!(!at.join(".drover").exists());

    let said = drover(at, &["dev", "--listen", "127.0.0.1:0", "--data-dir", "a.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("a.yaml is not a folder"), "{}", said.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = drover(at, &["dev", "--listen", &address]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains(&address) && said.stderr.contains("--listen"), "{}", said.stderr);
}

//! What goes on until it is interrupted.

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::{begin, drover};
use crate::serving::{Api, serve};

fn config(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "1"}})
}

#[test]
fn a_watch_prints_what_is_there_and_then_each_change_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let api = Api::new(at);
    let first = api.create(Kind::ConfigMap, &config("one"));
    let mut watch = begin(at, &["get", "configmaps", "-w", "-o", "json"]);
    let line = |watch: &mut crate::drover::Going| serde_json::from_str::<Value>(&watch.line()).unwrap();
    assert_eq!(line(&mut watch)["metadata"]["name"], "one");
    api.create(Kind::ConfigMap, &config("two"));
    assert_eq!(line(&mut watch)["metadata"]["name"], "two");
    let mut next = first.clone();
    next["data"]["a"] = "2".into();
    api.replace(Kind::ConfigMap, &next);
    assert_eq!(line(&mut watch)["data"]["a"], "2");
    watch.interrupt();
    assert_eq!(watch.line(), "");
    assert_eq!(watch.child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_watch_survives_the_death_of_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = serve(at);
    let api = Api::new(at);
    api.create(Kind::ConfigMap, &config("one"));
    let mut watch = begin(at, &["get", "configmaps", "-w", "-o", "name"]);
    assert_eq!(watch.line(), "configmap/one\n");
    let address = std::fs::read_to_string(at.join(".drover/kubeconfig")).unwrap();
    let port = address.split("127.0.0.1:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    drop(server);
    let _again = crate::serving::serve_on(at, &format!("127.0.0.1:{port}"));
    Api::new(at).create(Kind::ConfigMap, &config("two"));
    assert_eq!(watch.line(), "configmap/two\n");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["explain", "timer", "--recursive"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let said = child.wait_with_output().unwrap();
    assert_eq!((said.status.code(), String::from_utf8_lossy(&said.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn a_watch_of_a_name_that_is_not_there_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let said = drover(at, &["get", "timer", "none", "-w"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("not found"), "{}", said.stderr);
}

//! `apply`: all or nothing, in order, and said.

use std::fs;
use std::path::Path;

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::{Said, drover};
use crate::serving::{Api, still};

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n";

fn timer(space: &str, name: &str) -> String {
    format!(
        "apiVersion: drover.dev/v1\nkind: Timer\nmetadata:\n  name: {name}\n  namespace: {space}\nspec:\n  every: 5s\n  template: {{process: {{command: [/bin/true]}}}}\n"
    )
}

fn apply(at: &Path, documents: &[&str], args: &[&str]) -> Said {
    fs::write(at.join("a.yaml"), documents.join("---\n")).unwrap();
    drover(at, &[&["apply", "-f", "a.yaml"], args].concat())
}

#[test]
fn a_refusal_that_only_the_server_knows_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let said = apply(at, &[&timer("default", "good"), &timer("nowhere", "lost")], &[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert!(said.stderr.contains("namespaces \"nowhere\" not found"), "{}", said.stderr);
    assert!(said.stderr.contains("a.yaml:14:14"), "{}", said.stderr);
    assert!(said.stderr.ends_with("nothing was applied\n"), "{}", said.stderr);
    assert_eq!(drover(at, &["get", "timers", "-A", "-o", "name"]).stdout, "");

    let frozen = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nimmutable: true\ndata: {a: \"1\"}\n";
    assert_eq!(apply(at, &[frozen], &[]).stdout, "configmap/c created\n");
    let said = apply(at, &[&frozen.replace("\"1\"", "\"2\""), &timer("default", "good")], &["-o", "json"]);
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, &told["error"]), (Some(1), &json!("nothing was applied")));
    assert_eq!(told["diagnostics"][0]["source"], "a.yaml", "{told}");
    assert_eq!(drover(at, &["get", "timers", "-A", "-o", "name"]).stdout, "");
}

#[test]
fn a_set_may_make_the_namespace_it_uses_in_any_order_and_may_be_applied_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let set = [&timer("web", "beat")[..], NAMESPACE];
    let words = |word: &str| format!("namespace/web {word}\ntimer/beat {word}\n");
    for (args, word) in [
        (&["--dry-run=server"][..], "created (server dry run)"),
        (&["--dry-run=client"], "created (dry run)"),
        (&[], "created"),
        (&[], "unchanged"),
        (&["--dry-run=client"], "unchanged (dry run)"),
    ] {
        let said = apply(at, &set, args);
        assert_eq!(said.stdout, words(word), "{}", said.stderr);
    }
    // The finalizer of the namespace is still there, so its deletion still cleans up.
    let space = Api::new(at).get(Kind::Namespace, "web");
    assert_eq!(space["spec"]["finalizers"], json!(["kubernetes"]));
}

#[test]
fn what_others_wrote_into_an_object_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    apply(at, &[&timer("default", "beat")], &[]);
    let api = Api::new(at);
    let mut beat = api.get(Kind::Timer, "beat");
    beat["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let beat = api.replace(Kind::Timer, &beat);
    api.set_status(Kind::Timer, &beat, json!({"desired": 4}));
    let said = apply(at, &[&timer("default", "beat").replace("5s", "6s")], &["-o", "name"]);
    assert_eq!(said.stdout, "timer/beat\n", "{}", said.stderr);
    let beat = api.get(Kind::Timer, "beat");
    assert_eq!((&beat["spec"]["every"], &beat["status"]["desired"]), (&json!("6s"), &json!(4)));
    assert_eq!(beat["metadata"]["finalizers"], json!(["example.com/hold"]));
}

#[test]
fn many_objects_are_applied_and_told_in_the_order_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let timers: Vec<String> = (0..100).rev().map(|n| timer("default", &format!("t{n:03}"))).collect();
    let said = apply(at, &timers.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let want: String = (0..100).rev().map(|n| format!("timer/t{n:03} created\n")).collect();
    assert_eq!(said.stdout, want, "{}", said.stderr);
}

#[test]
fn of_many_objects_only_what_is_new_or_changed_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let timers: Vec<String> = (0..40).map(|n| timer("default", &format!("t{n:03}"))).collect();
    let go = |timers: &[String]| apply(at, &timers.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    go(&timers[..30]);
    let before = Api::new(at).get(Kind::Timer, "t000");
    let mut next = timers.clone();
    next[7] = next[7].replace("5s", "6s");
    let said = go(&next);
    let want: String = (0..40)
        .map(|n| {
            let word = match n {
                7 => "configured",
                30.. => "created",
                _ => "unchanged",
            };
            format!("timer/t{n:03} {word}\n")
        })
        .collect();
    assert_eq!(said.stdout, want, "{}", said.stderr);
    let api = Api::new(at);
    assert_eq!(api.get(Kind::Timer, "t000"), before);
    assert_eq!(api.get(Kind::Timer, "t007")["spec"]["every"], "6s");
}

#[test]
fn one_object_that_the_server_refuses_is_pointed_at_and_nothing_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let said = apply(at, &[&timer("nowhere", "lost")], &[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert!(said.stderr.contains("a.yaml:5:14"), "{}", said.stderr);
    assert!(said.stderr.ends_with("nothing was applied\n"), "{}", said.stderr);
}

#[test]
fn a_namespace_on_the_command_line_and_another_in_the_file_cannot_both_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let said = apply(at, &[&timer("web", "beat")], &["-n", "default"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("a.yaml:5:14") && said.stderr.contains("--namespace"), "{}", said.stderr);
}

#[test]
fn a_node_keeps_the_labels_that_others_gave_it_and_one_that_a_manifest_names_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    let labels = json!({"kubernetes.io/os": "linux", "drover.dev/role": "server", "tier": "web"});
    api.create(Kind::Node, &json!({"metadata": {"name": "n", "labels": labels}, "spec": {}}));
    let node =
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: n\n  labels: {dc: a, kubernetes.io/os: plan9}\n";
    for args in [&["--dry-run=client"][..], &[]] {
        let said = apply(at, &[node], args);
        assert_eq!(said.code, Some(1), "{}", said.stdout);
        assert!(said.stderr.contains("metadata.labels.kubernetes.io/os: conflict with"), "{}", said.stderr);
    }
    for (args, word) in [(&["--dry-run=client"][..], " (dry run)"), (&[], "")] {
        let force = [&["--force-conflicts"], args].concat();
        assert_eq!(apply(at, &[node], &force).stdout, format!("node/n configured{word}\n"));
    }
    let kept = json!({"kubernetes.io/os": "plan9", "drover.dev/role": "server", "tier": "web", "dc": "a"});
    assert_eq!(api.get(Kind::Node, "n")["metadata"]["labels"], kept);
    assert_eq!(apply(at, &[node], &[]).stdout, "node/n unchanged\n");
}

//! `delete`: by name, selector and file, and until it is gone.

use std::fs;

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::{begin, drover};
use crate::serving::{Api, still};

fn config(name: &str, finalizers: &[&str]) -> Value {
    json!({"metadata": {"name": name, "labels": {"n": name}, "finalizers": finalizers}})
}

#[test]
fn objects_go_by_name_by_selector_by_file_and_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    for name in ["a", "b", "c", "d", "e"] {
        api.create(Kind::ConfigMap, &config(name, &[]));
    }
    let delete = |args: &[&str]| {
        let said = drover(at, &[&["delete"], args].concat());
        (said.code, said.stdout, said.stderr)
    };
    let good = |said: &str| (Some(0), said.to_owned(), String::new());
    assert_eq!(delete(&["cm", "a", "b"]), good("configmap/a deleted\nconfigmap/b deleted\n"));
    assert_eq!(delete(&["cm", "-l", "n=c", "-o", "name"]), good("configmap/c\n"));
    fs::write(at.join("a.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\n").unwrap();
    assert_eq!(delete(&["-f", "a.yaml"]), good("configmap/d deleted\n"));
    assert_eq!(delete(&["cm", "--all"]), good("configmap/e deleted\n"));
    assert_eq!(delete(&["-f", "a.yaml", "--ignore-not-found"]), good(""));
    let (code, _, stderr) = delete(&["cm/d", "cm/e"]);
    assert_eq!(code, Some(1));
    assert_eq!(stderr, "error: configmaps \"d\" not found\nerror: configmaps \"e\" not found\n");
    for usage in [&["cm"][..], &["cm", "a", "--all"], &["cm", "a", "--now"], &[]] {
        assert_eq!(delete(usage).0, Some(2), "{usage:?}");
    }
}

#[test]
fn a_delete_waits_until_the_last_finalizer_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    api.create(Kind::ConfigMap, &config("held", &["example.com/hold"]));
    let said = drover(at, &["delete", "cm", "held", "--wait=false"]);
    assert_eq!(said.stdout, "configmap/held deleting: a finalizer holds it\n");
    let said = drover(at, &["delete", "cm", "held", "--timeout", "100ms"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert!(said.stderr.contains("configmap/held is not gone after 100ms"), "{}", said.stderr);

    api.create(Kind::ConfigMap, &config("fresh", &["example.com/hold"]));
    let mut waits = begin(at, &["delete", "cm", "fresh"]);
    let mut held = json!({});
    while held["metadata"]["deletionTimestamp"].is_null() {
        held = api.get(Kind::ConfigMap, "fresh");
    }
    held["metadata"]["finalizers"] = json!([]);
    api.replace(Kind::ConfigMap, &held);
    assert_eq!(waits.line(), "configmap/fresh deleted\n");
    assert_eq!(waits.child.wait().unwrap().code(), Some(0));
}

#[test]
fn cascade_says_what_becomes_of_what_an_object_owns() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    for (how, finalizer) in [("foreground", "foregroundDeletion"), ("orphan", "orphan")] {
        api.create(Kind::ConfigMap, &config(how, &[]));
        let said = drover(at, &["delete", "cm", how, "--cascade", how, "--wait=false"]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert_eq!(api.get(Kind::ConfigMap, how)["metadata"]["finalizers"], json!([finalizer]));
    }
}

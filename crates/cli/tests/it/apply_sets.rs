//! `apply --prune --applyset`: what leaves the set goes, and nothing else.

use std::fs;
use std::path::Path;

use drover_types::Kind;
use serde_json::json;

use crate::drover::{Said, drover};
use crate::kubectl::found;
use crate::serving::{Api, serve, still};

fn timer(name: &str) -> String {
    format!(
        "apiVersion: drover.dev/v1\nkind: Timer\nmetadata:\n  name: {name}\nspec:\n  every: 5m\n  template: {{process: {{command: [/bin/true]}}}}\n"
    )
}

fn config(name: &str, space: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {space}\ndata: {{a: b}}\n"
    )
}

fn apply(at: &Path, documents: &[String], args: &[&str]) -> Said {
    fs::write(at.join("set.yaml"), documents.join("---\n")).unwrap();
    drover(at, &[&["apply", "-f", "set.yaml", "--prune", "--applyset", "web"], args].concat())
}

#[test]
fn what_leaves_a_set_is_pruned_in_every_kind_and_namespace_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    api.create(Kind::Namespace, &json!({"metadata": {"name": "team"}}));
    api.create(Kind::Timer, &json!({"metadata": {"name": "foreign"}, "spec": {"every": "5m", "template": {"process": {"command": ["x"]}}}}));
    let all = [timer("a"), timer("b"), config("c", "team"), config("d", "default")];
    let said = apply(at, &all, &[]);
    assert_eq!(
        said.stdout, "configmap/c created\nconfigmap/d created\ntimer/a created\ntimer/b created\n",
        "{}",
        said.stderr
    );
    let set = api.get(Kind::Secret, "web");
    let id = set["metadata"]["labels"]["applyset.kubernetes.io/id"].clone();
    let annotations = &set["metadata"]["annotations"];
    assert_eq!(annotations["applyset.kubernetes.io/contains-group-kinds"], "ConfigMap,Timer.drover.dev");
    assert_eq!(annotations["applyset.kubernetes.io/additional-namespaces"], "team");
    assert_eq!(api.get(Kind::Timer, "a")["metadata"]["labels"]["applyset.kubernetes.io/part-of"], id);

    let rest = [timer("a")];
    let revision = api.get(Kind::Secret, "web")["metadata"]["resourceVersion"].clone();
    for (args, end) in
        [(&["--dry-run=server"][..], " (server dry run)"), (&["--dry-run=client"], " (dry run)"), (&[], "")]
    {
        let said = apply(at, &rest, args);
        let want = format!(
            "timer/a unchanged{end}\ntimer/b pruned{end}\nconfigmap/c pruned{end}\nconfigmap/d pruned{end}\n"
        );
        assert_eq!(said.stdout, want, "{}", said.stderr);
        if !args.is_empty() {
            assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout.lines().count(), 3);
            assert_eq!(api.get(Kind::Secret, "web")["metadata"]["resourceVersion"], revision);
        }
    }
    assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout, "timer/a\ntimer/foreign\n");
    let annotations = api.get(Kind::Secret, "web")["metadata"]["annotations"].clone();
    assert_eq!(annotations["applyset.kubernetes.io/contains-group-kinds"], "Timer.drover.dev");
    assert_eq!(annotations["applyset.kubernetes.io/additional-namespaces"], "");
    assert_eq!(apply(at, &rest, &[]).stdout, "timer/a unchanged\n");
    // All may leave.
    let said = apply(at, &["# nothing\n".to_owned()], &[]);
    assert_eq!(said.stdout, "timer/a pruned\n", "{}", said.stderr);
}

#[test]
fn an_object_of_another_set_is_refused_and_nothing_is_applied_or_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    assert_eq!(apply(at, &[timer("a"), timer("b")], &[]).code, Some(0));
    fs::write(at.join("other.yaml"), [timer("new"), timer("b")].join("---\n")).unwrap();
    let said = drover(at, &["apply", "-f", "other.yaml", "--prune", "--applyset", "configmaps/other"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert!(said.stderr.contains("is part of another apply set"), "{}", said.stderr);
    assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout, "timer/a\ntimer/b\n");
    assert_eq!(drover(at, &["get", "configmaps", "-o", "name"]).stdout, "", "not even the set");
    // The label is the command's to write.
    let own = timer("a").replace("  name: a\n", "  name: a\n  labels: {applyset.kubernetes.io/part-of: x}\n");
    let said = apply(at, &[own], &[]);
    assert!(
        said.stderr.contains("is written by the apply itself") && said.stderr.contains("set.yaml:5"),
        "{}",
        said.stderr
    );
    // What is there under the name and is no set is left alone.
    Api::new(at).create(Kind::Secret, &json!({"metadata": {"name": "mine"}}));
    let said = drover(at, &["apply", "-f", "other.yaml", "--prune", "--applyset", "mine"]);
    assert!(said.stderr.contains("is no apply set"), "{}", said.stderr);
    assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout, "timer/a\ntimer/b\n");
}

#[test]
fn an_error_in_the_set_prunes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    assert_eq!(apply(at, &[timer("a"), timer("b")], &[]).code, Some(0));
    let before = Api::new(at).get(Kind::Secret, "web");
    let said = apply(at, &[timer("a"), config("lost", "nowhere")], &[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout, "timer/a\ntimer/b\n");
    assert_eq!(Api::new(at).get(Kind::Secret, "web"), before);
}

/// A set goes from one program to the other, each of which refuses it while it is the other's.
#[test]
fn a_set_is_handed_from_kubectl_to_drover_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let tooling = "applyset.kubernetes.io/tooling";
    let on = [("KUBECTL_APPLYSET", "true")];
    for kubectl in found::all(at).into_iter().filter(|kubectl| kubectl.minor >= 27) {
        let name = format!("s{}", kubectl.minor);
        let names = ["a", "b"].map(|end| format!("{name}-{end}"));
        let set = format!("--applyset={name}");
        let both = [timer(&names[0]), timer(&names[1])].join("---\n");
        kubectl.write("set.yaml", &both);
        let by_kubectl = ["--namespace=default", "apply", "--prune", &set, "-f", "set.yaml"];
        let said = kubectl.run_with(&by_kubectl, &on);
        assert_eq!(said.code, Some(0), "1.{}: {}", kubectl.minor, said.stderr);

        fs::write(at.join("set.yaml"), timer(&names[0])).unwrap();
        let by_drover = ["apply", "-f", "set.yaml", "--prune", &set, "--force-conflicts"];
        let said = drover(at, &by_drover);
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains("is kept by kubectl/"), "{}", said.stderr);
        let owner = |tool: &str| {
            let said =
                kubectl.says(&["annotate", "secret", &name, "--overwrite", &format!("{tooling}={tool}")]);
            assert!(said.contains("annotate"), "{said}");
        };
        owner("drover/v1");
        let said = drover(at, &by_drover);
        assert!(
            said.stdout.ends_with(&format!("timer/{} pruned\n", names[1])),
            "{}{}",
            said.stdout,
            said.stderr
        );

        fs::write(at.join("set.yaml"), &both).unwrap();
        assert_eq!(drover(at, &by_drover).code, Some(0));
        kubectl.write("set.yaml", &timer(&names[1]));
        let refused = kubectl.run_with(&by_kubectl, &on);
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
        owner("kubectl/v1.32.0");
        let said = kubectl.run_with(&by_kubectl, &on);
        let want = format!("timer.drover.dev/{} pruned", names[0]);
        assert!(said.stdout.contains(&want), "1.{}: {}{}", kubectl.minor, said.stdout, said.stderr);
    }
}

//! Creating, applying, changing and deleting, in all the ways that kubectl has.

use serde_json::Value;

use super::found::{Kubectl, all};
use crate::serving::serve;

const TIMER: &str = "\
apiVersion: drover.dev/v1
kind: Timer
metadata: {name: beat, labels: {tier: web}}
spec: {every: 5m, template: {process: {command: [/bin/true], env: [{name: A, value: '1'}]}}}
";

/// Each kubectl in a namespace of its own on one server, with the file `timer.yaml`.
fn with_each(test: impl Fn(&Kubectl)) {
    super::found::with_each(|kubectl| {
        kubectl.write("timer.yaml", TIMER);
        test(kubectl);
    });
}

fn timer(kubectl: &Kubectl) -> Value {
    serde_json::from_str(&kubectl.says(&["get", "timer", "beat", "-o", "json"])).unwrap()
}

#[test]
fn every_kubectl_applies_and_says_what_changed() {
    with_each(|kubectl| {
        let apply = ["apply", "-f", "timer.yaml"];
        assert_eq!(kubectl.says(&apply), "timer.drover.dev/beat created\n");
        let first = timer(kubectl);
        assert_eq!(kubectl.says(&apply), "timer.drover.dev/beat unchanged\n");
        assert_eq!(timer(kubectl)["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        kubectl.write("timer.yaml", &TIMER.replace("5m", "7m").replace(", labels: {tier: web}", ""));
        assert_eq!(kubectl.says(&apply), "timer.drover.dev/beat configured\n");
        let changed = timer(kubectl);
        assert_eq!(
            (&changed["spec"]["every"], &changed["metadata"]["generation"]),
            (&"7m".into(), &2.into())
        );
        assert!(changed["metadata"].get("labels").is_none(), "{changed}");
        if kubectl.minor < 27 {
            return refuses_dry_runs(kubectl);
        }
        let dry = kubectl.says(&["apply", "-f", "timer.yaml", "--dry-run=server"]);
        assert!(dry.contains("(server dry run)"), "{dry}");
    });
}

/// It looks for what a server can do in definitions of OpenAPI 2.0 in protobuf, of which there are none.
fn refuses_dry_runs(kubectl: &Kubectl) {
    let said = kubectl.run(&["apply", "-f", "timer.yaml", "--dry-run=server"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("doesn't support dry-run"), "{}", said.stderr);
}

#[test]
fn every_kubectl_applies_a_list_of_kinds_and_a_kustomization() {
    with_each(|kubectl| {
        let list = "\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: motd}, data: {text: hello}}
- {apiVersion: drover.dev/v1, kind: Task, metadata: {name: once}, spec: {template: {process: {command: [/bin/true]}}}}
";
        kubectl.write("list.yaml", list);
        let said = kubectl.says(&["apply", "-f", "list.yaml"]);
        assert_eq!(said, "configmap/motd created\ntask.drover.dev/once created\n");
        kubectl.write("list.yaml", &list.replace("hello", "bye"));
        let said = kubectl.says(&["apply", "-f", "list.yaml"]);
        assert_eq!(said, "configmap/motd configured\ntask.drover.dev/once unchanged\n");
        kubectl.write("kustomization.yaml", "resources: [timer.yaml]\nnamePrefix: k-\n");
        assert_eq!(kubectl.says(&["apply", "-k", "."]), "timer.drover.dev/k-beat created\n");
        assert_eq!(kubectl.says(&["delete", "-k", "."]).lines().count(), 1);
    });
}

#[test]
fn every_kubectl_applies_on_the_server_and_two_managers_share_or_fight() {
    with_each(|kubectl| {
        let apply = |manager: &str, more: &[&str]| {
            let manager = format!("--field-manager={manager}");
            let all = [&["apply", "--server-side", "-f", "timer.yaml", &manager], more].concat();
            kubectl.run(&all)
        };
        let said = apply("one", &[]);
        assert_eq!(said.stdout, "timer.drover.dev/beat serverside-applied\n", "{}", said.stderr);
        let before = timer(kubectl);
        // The same again changes nothing, and another manager may want the same.
        assert_eq!(apply("one", &[]).code, Some(0));
        assert_eq!(timer(kubectl)["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
        assert_eq!(apply("two", &[]).code, Some(0));
        kubectl.write("timer.yaml", &TIMER.replace("5m", "9m"));
        let refused = apply("two", &[]);
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
        assert!(
            refused.stderr.contains("Apply failed with 1 conflict: conflict with \"one\""),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains(".spec.every"), "{}", refused.stderr);
        assert_eq!(timer(kubectl)["spec"]["every"], "5m");
        assert_eq!(apply("two", &["--force-conflicts"]).code, Some(0));
        assert_eq!(timer(kubectl)["spec"]["every"], "9m");
        // What its only owner drops goes.
        kubectl.write("timer.yaml", &TIMER.replace("5m", "9m").replace(", env: [{name: A, value: '1'}]", ""));
        assert_eq!(apply("two", &[]).code, Some(0));
        assert!(timer(kubectl).to_string().contains("\"A\""), "the other still wants it");
        assert_eq!(apply("one", &[]).code, Some(0));
        assert!(!timer(kubectl)["spec"].to_string().contains("\"A\""));
    });
}

#[test]
fn every_kubectl_moves_from_its_own_apply_to_the_servers() {
    with_each(|kubectl| {
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        kubectl.write("timer.yaml", &TIMER.replace("5m", "6m"));
        // Older ones do not take over what they wrote themselves before.
        let force: &[&str] = if kubectl.minor < 26 { &["--force-conflicts"] } else { &[] };
        kubectl.says(&[&["apply", "--server-side", "-f", "timer.yaml"], force].concat());
        // Those before 1.21 show them always.
        let show = ["get", "timer", "beat", "-o", "yaml", "--show-managed-fields"];
        let text = kubectl.says(&show[..if kubectl.minor < 21 { 5 } else { 6 }]);
        assert!(text.contains("manager: kubectl\n") && text.contains("operation: Apply"), "{text}");
        assert_eq!(timer(kubectl)["spec"]["every"], "6m");
        if kubectl.minor >= 26 {
            assert!(!text.contains("manager: kubectl-client-side-apply"), "{text}");
        }
        // And back: nothing is lost on the way.
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        assert_eq!(timer(kubectl)["metadata"]["generation"], 2);
    });
}

#[test]
fn every_kubectl_shows_what_would_change() {
    with_each(|kubectl| {
        if kubectl.minor < 27 {
            return refuses_dry_runs(kubectl);
        }
        let diff = |more: &[&str]| kubectl.run(&[&["diff", "-f", "timer.yaml"], more].concat());
        assert_eq!(diff(&[]).code, Some(1));
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        assert_eq!((diff(&[]).code, diff(&[]).stdout.as_str()), (Some(0), ""));
        kubectl.write("timer.yaml", &TIMER.replace("5m", "8m"));
        let said = diff(&[]);
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        assert!(
            said.stdout.contains("-  every: 5m") && said.stdout.contains("+  every: 8m"),
            "{}",
            said.stdout
        );
        let said = diff(&["--server-side", "--force-conflicts"]);
        assert!(said.stdout.contains("+  every: 8m"), "{}{}", said.stdout, said.stderr);
        assert_eq!(timer(kubectl)["spec"]["every"], "5m");
    });
}

#[test]
fn every_kubectl_creates_replaces_and_edits() {
    with_each(|kubectl| {
        assert_eq!(kubectl.says(&["create", "-f", "timer.yaml"]), "timer.drover.dev/beat created\n");
        let again = kubectl.run(&["create", "-f", "timer.yaml"]);
        assert!(again.stderr.contains("(AlreadyExists)"), "{}", again.stderr);
        kubectl.write("timer.yaml", &TIMER.replace("5m", "11m"));
        assert_eq!(kubectl.says(&["replace", "-f", "timer.yaml"]), "timer.drover.dev/beat replaced\n");
        assert_eq!(timer(kubectl)["spec"]["every"], "11m");
        let old = timer(kubectl)["metadata"]["uid"].clone();
        kubectl.says(&["replace", "--force", "-f", "timer.yaml"]);
        assert_ne!(timer(kubectl)["metadata"]["uid"], old);
        let said = kubectl.run_with(&["edit", "timer", "beat"], &[("KUBE_EDITOR", "sed -i s/11m/12m/")]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert_eq!(timer(kubectl)["spec"]["every"], "12m");
        let bad = kubectl.run(&["create", "-f", "-"]);
        assert_eq!(bad.code, Some(1));
        kubectl.write("bad.yaml", &TIMER.replace("every: 5m", "every: 5m, bogus: 1"));
        let refused = kubectl.run(&["create", "-f", "bad.yaml"]);
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    });
}

#[test]
fn every_kubectl_patches_labels_and_annotates() {
    with_each(|kubectl| {
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        let patch = |type_: &str, text: &str| kubectl.run(&["patch", "timer", "beat", type_, "-p", text]);
        let said = patch("--type=merge", r#"{"spec":{"suspend":true}}"#);
        assert_eq!(said.stdout, "timer.drover.dev/beat patched\n", "{}", said.stderr);
        let said = patch("--type=merge", r#"{"spec":{"suspend":true}}"#);
        assert_eq!(said.stdout, "timer.drover.dev/beat patched (no change)\n", "{}", said.stderr);
        let test = r#"[{"op":"test","path":"/spec/every","value":"5m"},{"op":"replace","path":"/spec/every","value":"6m"}]"#;
        assert_eq!(patch("--type=json", test).code, Some(0));
        let failed = patch("--type=json", test);
        assert_eq!(failed.code, Some(1), "{}", failed.stdout);
        let env = r#"{"spec":{"template":{"process":{"env":[{"name":"B","value":"2"}]}}}}"#;
        let said = patch("--type=strategic", env);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let env = timer(kubectl)["spec"]["template"]["process"]["env"].clone();
        assert_eq!(env.as_array().unwrap().len(), 2, "{env}");
        assert_eq!(timer(kubectl)["spec"]["every"], "6m");
        kubectl.says(&["label", "timer", "beat", "a=b", "tier-"]);
        kubectl.says(&["annotate", "timer", "beat", "note=x y"]);
        let metadata = timer(kubectl)["metadata"].clone();
        assert_eq!(
            (&metadata["labels"], &metadata["annotations"]["note"]),
            (&serde_json::json!({"a": "b"}), &"x y".into())
        );
        let taken = kubectl.run(&["label", "timer", "beat", "a=c"]);
        assert!(taken.stderr.contains("already has a value"), "{}", taken.stderr);
    });
}

#[test]
fn every_kubectl_makes_secrets_and_config_maps() {
    with_each(|kubectl| {
        kubectl.says(&["create", "secret", "generic", "key", "--from-literal=a=b"]);
        let value = kubectl.says(&["get", "secret", "key", "-o", "jsonpath={.data.a} {.type}"]);
        assert_eq!(value, "Yg== Opaque");
        kubectl.says(&["create", "configmap", "words", "--from-literal=a=b"]);
        assert_eq!(kubectl.says(&["get", "cm", "words", "-o", "jsonpath={.data.a}"]), "b");
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata: {c: d}\n";
        kubectl.write("words.yaml", text);
        // A patch of a core kind is a strategic one.
        kubectl.says(&["apply", "-f", "words.yaml"]);
        kubectl.write("words.yaml", &text.replace("c: d", "c: e"));
        assert_eq!(kubectl.says(&["apply", "-f", "words.yaml"]), "configmap/words configured\n");
        let data = kubectl.says(&["get", "cm", "words", "-o", "jsonpath={.data.a}{.data.c}"]);
        assert_eq!(data, "be");
    });
}

#[test]
fn every_kubectl_deletes_and_waits_until_it_is_done() {
    with_each(|kubectl| {
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        assert_eq!(kubectl.says(&["delete", "timer", "beat"]).lines().count(), 1);
        assert_eq!(kubectl.run(&["get", "timer", "beat"]).code, Some(1));
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        kubectl.says(&["delete", "timers", "-l", "tier=web", "--cascade=foreground", "--timeout=60s"]);
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        kubectl.says(&["delete", "-f", "timer.yaml", "--cascade=orphan", "--timeout=60s"]);
        let gone = kubectl.run(&["delete", "-f", "timer.yaml"]);
        assert!(gone.stderr.contains("(NotFound)"), "{}", gone.stderr);
        kubectl.says(&["delete", "-f", "timer.yaml", "--ignore-not-found"]);
        kubectl.says(&["apply", "-f", "timer.yaml"]);
        let space = kubectl.namespace.clone().unwrap();
        kubectl.says(&["delete", "namespace", &space, "--timeout=60s"]);
        assert_eq!(kubectl.run(&["get", "timer", "beat"]).code, Some(1));
    });
}

#[test]
fn every_kubectl_prunes_what_left_its_set() {
    with_each(|kubectl| {
        let second = TIMER.replace("name: beat", "name: second");
        let both = format!("{TIMER}---\n{second}");
        kubectl.write("set.yaml", &both);
        let flag = if kubectl.minor < 26 { "--prune-whitelist" } else { "--prune-allowlist" };
        let allow = format!("{flag}=drover.dev/v1/Timer");
        let apply = ["apply", "--prune", "-l", "tier=web", "-f", "set.yaml", &allow];
        kubectl.says(&apply);
        kubectl.write("set.yaml", TIMER);
        let said = kubectl.says(&apply);
        assert!(said.contains("timer.drover.dev/second pruned"), "{said}");
        if kubectl.minor < 27 {
            return;
        }
        kubectl.write("set.yaml", &both.replace("beat", "third").replace("second", "fourth"));
        let apply = ["apply", "--prune", "--applyset=set", "-f", "set.yaml"];
        let on = [("KUBECTL_APPLYSET", "true")];
        let said = kubectl.run_with(&apply, &on);
        assert_eq!(said.code, Some(0), "1.{}: {}", kubectl.minor, said.stderr);
        kubectl.write("set.yaml", &TIMER.replace("beat", "third"));
        let said = kubectl.run_with(&apply, &on);
        assert!(said.stdout.contains("timer.drover.dev/fourth pruned"), "{}{}", said.stdout, said.stderr);
    });
}

#[test]
fn every_kubectl_cordons_and_taints_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let _server = serve(folder.path());
    for kubectl in all(folder.path()) {
        let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n";
        kubectl.write("node.yaml", node);
        kubectl.says(&["create", "-f", "node.yaml"]);
        kubectl.says(&["cordon", "n1"]);
        assert_eq!(kubectl.says(&["get", "node", "n1", "-o", "jsonpath={.spec.unschedulable}"]), "true");
        kubectl.says(&["uncordon", "n1"]);
        assert_eq!(kubectl.says(&["get", "node", "n1", "-o", "jsonpath={.spec.unschedulable}"]), "");
        kubectl.says(&["taint", "node", "n1", "a=b:NoSchedule"]);
        assert_eq!(kubectl.says(&["get", "node", "n1", "-o", "jsonpath={.spec.taints[0].key}"]), "a");
        kubectl.says(&["taint", "node", "n1", "a-"]);
        assert_eq!(kubectl.says(&["get", "node", "n1", "-o", "jsonpath={.spec.taints}"]), "");
        kubectl.says(&["delete", "node", "n1"]);
    }
}

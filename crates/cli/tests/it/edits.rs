//! `diff`, `edit`, `patch`, `label`, `annotate` and `scale`.

use std::fs;
use std::path::Path;

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::{Said, drover, drover_with};
use crate::serving::{Api, Still, still};

const TIMER: &str = "\
apiVersion: drover.dev/v1
kind: Timer
metadata:
  name: beat
  labels: {tier: web}
spec:
  every: 5m
  template: {process: {command: [/bin/true]}}
";

/// A server with a Timer `beat` and a Service `web`.
fn with_objects(folder: &Path) -> (Still, Api) {
    let server = still(folder);
    fs::write(folder.join("a.yaml"), TIMER).unwrap();
    assert_eq!(drover(folder, &["apply", "-f", "a.yaml"]).code, Some(0));
    let api = Api::new(folder);
    let web =
        json!({"metadata": {"name": "web"}, "spec": {"template": {"process": {"command": ["/bin/cat"]}}}});
    api.create(Kind::Service, &web);
    (server, api)
}

fn words<'a>(line: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    line.split(' ').chain(rest.iter().copied()).collect()
}

#[test]
fn labels_and_annotations_are_set_removed_and_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, api) = with_objects(at);
    let said = |line: &str| drover(at, &words(line, &[]));
    assert_eq!(said("label timer beat team=ops").stdout, "timer/beat labeled\n");
    assert_eq!(said("label timer/beat team=ops").stdout, "timer/beat not labeled\n");
    let revision = api.get(Kind::Timer, "beat")["metadata"]["resourceVersion"].clone();
    let refused = said("label timer beat tier=db x=y");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("already has a value (web); --overwrite changes it"),
        "{}",
        refused.stderr
    );
    for try_ in [
        "label timer beat tier=db --overwrite --dry-run=server",
        "label timer beat tier=db --overwrite --dry-run=client",
    ] {
        assert!(said(try_).stdout.starts_with("timer/beat labeled ("), "{try_}");
    }
    assert_eq!(api.get(Kind::Timer, "beat")["metadata"]["resourceVersion"], revision, "nothing was written");
    assert_eq!(said("label timer beat tier=db team- --overwrite -o name").stdout, "timer/beat\n");
    assert_eq!(api.get(Kind::Timer, "beat")["metadata"]["labels"], json!({"tier": "db"}));
    assert_eq!(said("label timers -l tier=db tier-").stdout, "timer/beat unlabeled\n");
    assert_eq!(said("annotate services --all note=a=b").stdout, "service/web annotated\n");
    let told: Value = serde_json::from_str(&said("annotate service web more=1 -o json").stdout).unwrap();
    assert_eq!(told["metadata"]["annotations"], json!({"note": "a=b", "more": "1"}));
    let yaml = said("annotate service web more- -o yaml").stdout;
    assert!(yaml.starts_with("apiVersion: drover.dev/v1\n"), "{yaml}");
    let several = said("label timer beat nobody a=b");
    assert_eq!((several.code, several.stdout.as_str()), (Some(1), "timer/beat labeled\n"));
    assert!(several.stderr.contains("timer/nobody"), "{}", several.stderr);
    for bad in [
        "label timer beat",
        "label timer beat a/b/c=d",
        "label timer beat a=b/c",
        "label timers a=b",
        "annotate timer beat --all x=y",
    ] {
        assert_eq!(said(bad).code, Some(2), "{bad}");
    }
}

#[test]
fn a_patch_of_each_type_changes_what_it_says_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, api) = with_objects(at);
    let patch = |rest: &[&str]| drover(at, &[&["patch", "timer", "beat"], rest].concat());
    assert_eq!(patch(&["-p", "spec: {suspend: true}"]).stdout, "timer/beat patched\n");
    assert_eq!(
        patch(&["--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]).stdout,
        "timer/beat patched (no change)\n"
    );
    let ops = r#"[{"op": "test", "path": "/spec/every", "value": "5m"}, {"op": "replace", "path": "/spec/every", "value": "6m"}]"#;
    fs::write(at.join("ops.json"), ops).unwrap();
    let tried = patch(&["--type=json", "--patch-file", "ops.json", "--dry-run=server"]);
    assert_eq!(tried.stdout, "timer/beat patched (server dry run)\n", "{}", tried.stderr);
    assert_eq!(api.get(Kind::Timer, "beat")["spec"]["every"], "5m");
    assert_eq!(patch(&["--type=json", "--patch-file", "ops.json"]).code, Some(0));
    assert_eq!(api.get(Kind::Timer, "beat")["spec"]["every"], "6m");
    let failed = patch(&["--type=json", "--patch-file", "ops.json"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stdout);
    let wrong = patch(&["-p", "spec: {every: often}"]);
    assert!(wrong.stderr.contains("spec.every"), "{}", wrong.stderr);
    let misspelt = patch(&["-p", "spec: {evry: 1m}"]);
    assert!(misspelt.stderr.contains("unknown field"), "{}", misspelt.stderr);
    let told = drover(
        at,
        &["patch", "service/web", "--subresource=scale", "-p", "spec: {replicas: 2}", "-o", "json"],
    );
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&told["kind"], &told["spec"]["replicas"]), (&"Scale".into(), &2.into()));
    for bad in [&["-p", "[]"][..], &["--type=json", "-p", "{}"], &[], &["-p", "a: b", "--dry-run=client"]] {
        assert_eq!(patch(bad).code, Some(2), "{bad:?}");
    }
    let owners = api.get(Kind::Timer, "beat")["metadata"]["managedFields"].to_string();
    assert!(owners.contains("drover-patch"), "{owners}");
}

#[test]
fn scaling_counts_only_what_has_a_count() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, api) = with_objects(at);
    let said = |line: &str| drover(at, &words(line, &[]));
    assert_eq!(said("scale service/web --replicas=3").stdout, "service/web scaled\n");
    let wrong = said("scale service web --current-replicas=2 --replicas=4");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("there are to be 3 now, not 2"), "{}", wrong.stderr);
    assert_eq!(
        said("scale services --all --current-replicas=3 --replicas=4 --dry-run=server").stdout,
        "service/web scaled (server dry run)\n"
    );
    assert_eq!(
        said("scale services --all --replicas=4 --dry-run=client").stdout,
        "service/web scaled (dry run)\n"
    );
    assert_eq!(api.get(Kind::Service, "web")["spec"]["replicas"], 3);
    assert_eq!(
        said("scale services --all --current-replicas=3 --replicas=4 -o name").stdout,
        "service/web\n"
    );
    assert_eq!(api.get(Kind::Service, "web")["spec"]["replicas"], 4);
    let many = said("scale service web --replicas=1001");
    assert!(many.stderr.contains("must be at most 1000"), "{}", many.stderr);
    let none = said("scale timer beat --replicas=2");
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("a Timer has no count"), "{}", none.stderr);
    assert!(said("scale service nobody --replicas=2").stderr.contains("\"nobody\" not found"));
}

fn edit(at: &Path, editor: &str) -> Said {
    // What is kept is kept in a folder that goes with the test.
    let kept = at.join("kept");
    fs::create_dir_all(&kept).unwrap();
    drover_with(at, &["edit", "timer", "beat"], &[("EDITOR", editor), ("TMPDIR", kept.to_str().unwrap())])
}

#[test]
fn an_edit_sends_what_was_changed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, api) = with_objects(at);
    let before = api.get(Kind::Timer, "beat");
    for unchanged in ["/bin/true", "/bin/sed -i /./d", "/bin/sed -i 1i#x"] {
        let said = edit(at, unchanged);
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{unchanged}: {}", said.stderr);
        assert!(said.stderr.contains("Edit cancelled"), "{}", said.stderr);
    }
    assert_eq!(api.get(Kind::Timer, "beat"), before);
    let said = edit(at, "/bin/sed -i 's/every: 5m/every: 9m/'");
    assert_eq!(said.stdout, "timer/beat edited\n", "{}", said.stderr);
    let after = api.get(Kind::Timer, "beat");
    assert_eq!(after["spec"]["every"], "9m");
    let owners = after["metadata"]["managedFields"].as_array().unwrap();
    let editor = owners.iter().find(|entry| entry["manager"] == "drover-edit").unwrap();
    assert_eq!(editor["fieldsV1"], json!({"f:spec": {"f:every": {}}}));
    let json = drover_with(
        at,
        &["edit", "timer/beat", "-o", "json"],
        &[("VISUAL", "/bin/sed -i 's/\"9m\"/\"8m\"/'"), ("EDITOR", "/bin/false")],
    );
    assert_eq!(json.stdout, "timer/beat edited\n", "{}", json.stderr);
    let failed = edit(at, "/bin/false");
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("nothing was changed"), "{}", failed.stderr);
    assert_eq!(fs::read_dir(at.join("kept")).unwrap().count(), 0, "no copy is left behind");
}

#[test]
fn a_refused_edit_is_shown_again_with_its_error_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, api) = with_objects(at);
    let before = api.get(Kind::Timer, "beat");
    for (script, error) in [
        ("/bin/sed -i 's/every: .*/every: often/'", "spec.every"),
        ("/bin/sed -i 's/every: .*/every: [/'", "the file"),
        ("/bin/sed -i 's/name: beat/name: other/'", "metadata.name cannot be changed"),
    ] {
        let said = edit(at, script);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{script}");
        let path = said.stderr.split("a copy of your changes is in ").nth(1).unwrap().lines().next().unwrap();
        let kept = fs::read_to_string(path).unwrap();
        let first = kept.lines().next().unwrap();
        assert!(first.starts_with("# error: "), "{kept}");
        assert!(
            kept.lines().take_while(|line| line.starts_with('#')).any(|line| line.contains(error)),
            "{kept}"
        );
        fs::remove_file(path).unwrap();
    }
    assert_eq!(api.get(Kind::Timer, "beat"), before);
    // Who mends it then is done.
    let mend = "mend() { if /bin/grep -q 'often' \"$1\"; then /bin/sed -i 's/often/7m/' \"$1\"; else /bin/sed -i 's/5m/often/' \"$1\"; fi; }; mend";
    assert_eq!(edit(at, mend).stdout, "timer/beat edited\n");
    assert_eq!(api.get(Kind::Timer, "beat")["spec"]["every"], "7m");
}

#[test]
fn a_diff_shows_what_an_apply_would_change_and_tells_it_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, api) = with_objects(at);
    let diff = |text: &str, rest: &[&str]| {
        fs::write(at.join("d.yaml"), text).unwrap();
        drover(at, &[&["diff", "-f", "d.yaml"], rest].concat())
    };
    let said = diff(TIMER, &[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{}", said.stderr);
    let changed = TIMER.replace("5m", "8m");
    let said = diff(&changed, &[]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let want = "--- live/timers.drover.dev/default/beat\n+++ applied/timers.drover.dev/default/beat\n";
    assert!(said.stdout.starts_with(want), "{}", said.stdout);
    assert!(
        said.stdout.contains("\n-  every: 5m\n+  every: 8m\n") && !said.stdout.contains('\u{1b}'),
        "{}",
        said.stdout
    );
    assert_eq!(said.stdout.matches("\n-").count() + said.stdout.matches("\n+").count(), 3, "{}", said.stdout);
    let told: Value = serde_json::from_str(&diff(&changed, &["-o", "json"]).stdout).unwrap();
    assert_eq!(
        (&told["objects"][0]["before"]["spec"]["every"], &told["objects"][0]["after"]["spec"]["every"]),
        (&"5m".into(), &"8m".into())
    );
    // What is not there yet, and its namespace neither.
    let space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n";
    let inside = TIMER.replace("  name: beat\n", "  name: beat\n  namespace: new\n");
    let said = diff(&format!("{space}---\n{inside}"), &[]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(
        said.stdout.contains("--- /dev/null\n+++ applied/timers.drover.dev/new/beat\n"),
        "{}",
        said.stdout
    );
    // Values of a Secret are nobody's business.
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2, user: me}\n";
    fs::write(at.join("s.yaml"), secret).unwrap();
    drover(at, &["apply", "-f", "s.yaml"]);
    for rest in [&[][..], &["-o", "json"]] {
        let said = diff(&secret.replace("hunter2", "correct-horse"), rest);
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        assert!(
            said.stdout.contains("*** (before)") && said.stdout.contains("*** (after)"),
            "{}",
            said.stdout
        );
        for value in ["hunter2", "correct-horse", "aHVudGVyMg==", "bWU="] {
            assert!(!said.stdout.contains(value), "{value}: {}", said.stdout);
        }
    }
    // A conflict, a refusal and a server that is not there are no differences.
    drover(at, &["patch", "timer", "beat", "-p", "spec: {every: 1h}"]);
    let conflict = diff(&changed, &[]);
    assert_eq!(conflict.code, Some(2), "{}", conflict.stdout);
    assert!(conflict.stderr.contains("conflict with \"drover-patch\""), "{}", conflict.stderr);
    assert_eq!(diff(&changed, &["--force-conflicts"]).code, Some(1));
    assert_eq!(diff(&changed.replace("8m", "often"), &[]).code, Some(2));
    assert_eq!(diff(&changed, &["--kubeconfig", "nowhere"]).code, Some(2));
    assert_eq!(api.get(Kind::Timer, "beat")["spec"]["every"], "1h");
}

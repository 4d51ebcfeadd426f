//! `apply` on the server: whose a field is, and what becomes of fields that nobody lists any more.

use std::fs;
use std::path::Path;

use drover_types::Kind;
use serde_json::{Value, json};

use crate::drover::{Said, drover};
use crate::serving::{Api, still};

const TIMER: &str = "\
apiVersion: drover.dev/v1
kind: Timer
metadata:
  name: beat
  labels: {tier: web}
spec:
  every: 5s
  suspend: true
  template: {process: {command: [/bin/true]}}
";

fn apply(at: &Path, text: &str, args: &[&str]) -> Said {
    fs::write(at.join("a.yaml"), text).unwrap();
    drover(at, &[&["apply", "-f", "a.yaml"], args].concat())
}

fn managers(object: &Value) -> Vec<(&str, &str)> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| (entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_field_that_another_changed_is_a_conflict_that_shows_the_line_the_owner_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    assert_eq!(apply(at, TIMER, &[]).stdout, "timer/beat created\n");
    let api = Api::new(at);
    assert_eq!(managers(&api.get(Kind::Timer, "beat")), [("drover", "Apply")]);
    let mut beat = api.get(Kind::Timer, "beat");
    beat["spec"]["every"] = "9s".into();
    beat["metadata"]["annotations"] = json!({"note": "theirs"});
    api.replace(Kind::Timer, &beat);
    // With another object in the file that is fine: nothing of the set is applied.
    let both = format!("{TIMER}---\n{}", TIMER.replace("beat", "other"));
    for args in [&[][..], &["--dry-run=server"], &["--dry-run=client"]] {
        let said = apply(at, &both, args);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(said.stderr.contains("spec.every: conflict with \"drover-client\""), "{}", said.stderr);
        assert!(said.stderr.contains("a.yaml:7:10"), "{}", said.stderr);
        assert!(said.stderr.contains("--force-conflicts"), "{}", said.stderr);
        assert!(said.stderr.ends_with("nothing was applied\n"), "{}", said.stderr);
    }
    let told = apply(at, &both, &["-o", "json"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert!(told["diagnostics"][0].to_string().contains("drover-client"), "{told}");
    assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout, "timer/beat\n");
    // The same value is no conflict, and another manager may own it too.
    let said = apply(at, &TIMER.replace("5s", "9s"), &["--field-manager=ci"]);
    assert_eq!(said.stdout, "timer/beat configured\n", "{}", said.stderr);
    let said = apply(at, TIMER, &["--force-conflicts"]);
    assert_eq!(said.stdout, "timer/beat configured\n", "{}", said.stderr);
    let beat = api.get(Kind::Timer, "beat");
    assert_eq!(
        (&beat["spec"]["every"], &beat["metadata"]["annotations"]["note"]),
        (&"5s".into(), &"theirs".into())
    );
    assert_eq!(apply(at, TIMER, &[]).stdout, "timer/beat unchanged\n");
    assert_eq!(api.get(Kind::Timer, "beat"), beat);
}

#[test]
fn a_field_that_its_manifest_drops_goes_and_what_others_wrote_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: one, b: two}\n";
    assert_eq!(apply(at, secret, &[]).stdout, "secret/s created\n");
    assert_eq!(apply(at, secret, &[]).stdout, "secret/s unchanged\n");
    let api = Api::new(at);
    let mut held = api.get(Kind::Secret, "s");
    held["data"]["theirs"] = "eA==".into();
    api.replace(Kind::Secret, &held);
    assert_eq!(apply(at, &secret.replace(", b: two", ""), &[]).stdout, "secret/s configured\n");
    assert_eq!(api.get(Kind::Secret, "s")["data"], json!({"a": "b25l", "theirs": "eA=="}));
}

#[test]
fn what_an_older_apply_wrote_is_taken_over_without_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let api = Api::new(at);
    // As it wrote: POST and PUT under the name of `drover`.
    let older = json!({
        "apiVersion": "drover.dev/v1", "kind": "Timer", "metadata": {"name": "beat", "labels": {"tier": "web"}},
        "spec": {"every": "1m", "suspend": true, "template": {"process": {"command": ["/bin/true"]}}},
    });
    api.create_as("drover", Kind::Timer, &older);
    let next = TIMER.replace("  suspend: true\n", "");
    for (args, word) in
        [(&["--dry-run=server"][..], "configured (server dry run)"), (&[], "configured"), (&[], "unchanged")]
    {
        let said = apply(at, &next, args);
        assert_eq!(said.stdout, format!("timer/beat {word}\n"), "{}", said.stderr);
    }
    let beat = api.get(Kind::Timer, "beat");
    assert_eq!((&beat["spec"]["every"], beat["spec"].get("suspend")), (&"5s".into(), None), "{beat}");
    assert_eq!(managers(&beat), [("drover", "Apply")]);
}

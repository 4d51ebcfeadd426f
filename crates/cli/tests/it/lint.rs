//! `drover lint` points into the file.

use std::fs;

use crate::drover::drover;

fn lint(text: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), text).unwrap();
    let said = drover(folder.path(), &["lint", "-f", "a.yaml"]);
    (said.code, said.stdout, said.stderr)
}

#[test]
fn an_error_shows_the_line_under_a_caret() {
    let (code, stdout, stderr) = lint(
        "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {name: nightly}\nspec:\n  cron: \"61 * * * *\"\n  template:\n    process: {command: [/bin/true]}\n",
    );
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains("spec.cron: Invalid value: \"61 * * * *\": minute 61 is out of range 0-59"),
        "{stderr}"
    );
    assert!(stderr.contains("a.yaml:5:9"), "{stderr}");
    assert!(stderr.contains("  cron: \"61 * * * *\""), "{stderr}");
    assert!(stderr.contains("^^^"), "{stderr}");
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_known_one() {
    let (code, _, stderr) = lint(
        "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {name: a}\nspec:\n  evry: 5s\n  every: 5s\n  template: {process: {command: [/bin/true]}}\n",
    );
    assert_eq!(code, Some(1));
    assert!(stderr.contains("unknown field \"spec.evry\""), "{stderr}");
    assert!(stderr.contains("did you mean \"every\"?"), "{stderr}");
    assert!(stderr.contains("a.yaml:5:3"), "{stderr}");
}

#[test]
fn a_misspelt_field_is_told_before_what_is_missing_without_it() {
    let (code, _, stderr) = lint(
        "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {name: a}\nspec:\n  every: 5s\n  template: {process: {comand: [/bin/true]}}\n",
    );
    assert_eq!(code, Some(1));
    let at = |text: &str| stderr.find(text).unwrap_or_else(|| panic!("no {text:?} in {stderr}"));
    assert!(at("unknown field \"spec.template.process.comand\"") < at("Required value"), "{stderr}");
    assert!(stderr.contains("did you mean \"command\"?"), "{stderr}");
}

#[test]
fn a_field_that_is_not_built_is_refused_as_such() {
    let (code, _, stderr) = lint(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {name: a}\nspec:\n  sockets: [{name: http, listen: \"0.0.0.0:80\"}]\n  template: {process: {command: [/bin/true]}}\n",
    );
    assert_eq!(code, Some(1));
    assert!(stderr.contains("spec.sockets: Forbidden: not built yet"), "{stderr}");
}

#[test]
fn a_kind_that_is_not_built_is_refused_as_such() {
    let (code, _, stderr) =
        lint("apiVersion: drover.dev/v1\nkind: Channel\nmetadata: {name: a}\nspec: {delivery: AtMostOnce}\n");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Channel is not built yet"), "{stderr}");
}

#[test]
fn one_bad_document_among_good_ones_makes_the_whole_bad() {
    let good = "apiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n";
    let (code, stdout, _) =
        lint(&format!("{good}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: NOT_A_NAME}}\n"));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let (code, stdout, stderr) = lint(good);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "namespace/one ok\n", ""));
}

#[test]
fn the_same_object_twice_is_refused() {
    let good = "apiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n";
    let (code, _, stderr) = lint(&format!("{good}---\n{good}"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("namespace/one is already in a.yaml"), "{stderr}");
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = drover(folder.path(), &["lint", "-f", "gone.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("gone.yaml: no such file or folder"), "{}", said.stderr);
}

#[test]
fn machines_read_findings_as_json() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "apiVersion: v1\nkind: Secrte\nmetadata: {name: a}\n").unwrap();
    let said = drover(folder.path(), &["lint", "-f", "a.yaml", "-o", "json"]);
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, &found["diagnostics"][0]["line"]), (Some(1), &serde_json::json!(2)));
    assert_eq!(found["diagnostics"][0]["help"], "did you mean \"Secret\"?");
}

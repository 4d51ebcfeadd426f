//! A real server over TLS, and the verbs against it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::drover::drover;
use crate::serving::serve;

const TIMER: &str = "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {name: beat}\nspec:\n  every: 5s\n  template: {process: {command: [/bin/true]}}\n";

#[test]
fn what_was_applied_is_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("a.yaml"), TIMER).unwrap();
    let server = serve(at);
    let said = drover(at, &["apply", "-f", "a.yaml"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "timer/beat created\n"), "{}", said.stderr);
    drop(server);

    let _again = serve(at);
    let said = drover(at, &["get", "timers", "-o", "name"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "timer/beat\n"), "{}", said.stderr);
}

#[test]
fn apply_says_created_configured_or_unchanged_and_delete_takes_away() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let apply = |text: &str| {
        fs::write(at.join("a.yaml"), text).unwrap();
        drover(at, &["apply", "-f", "a.yaml"])
    };
    for (text, word) in [
        (TIMER.to_owned(), "created"),
        (TIMER.to_owned(), "unchanged"),
        (TIMER.replace("5s", "7s"), "configured"),
    ] {
        let said = apply(&text);
        assert_eq!(said.stdout, format!("timer/beat {word}\n"), "{}", said.stderr);
    }
    let said = drover(at, &["get", "timer", "beat", "-o", "yaml"]);
    assert!(said.stdout.contains("every: 7s"), "{}", said.stdout);
    assert_eq!(drover(at, &["delete", "timer", "beat"]).stdout, "timer/beat deleted\n");
    let said = drover(at, &["get", "timer", "beat"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("timers.drover.dev \"beat\" not found"), "{}", said.stderr);
}

#[test]
fn one_error_in_a_set_leaves_the_server_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let bad = TIMER.replace("beat", "bad").replace("5s", "5");
    fs::write(at.join("a.yaml"), format!("{TIMER}---\n{bad}")).unwrap();
    let said = drover(at, &["apply", "-f", "a.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("a.yaml:12:10"), "{}", said.stderr);
    assert!(said.stderr.ends_with("nothing was applied\n"), "{}", said.stderr);
    assert_eq!(drover(at, &["get", "timers", "-o", "name"]).stdout, "");
}

#[test]
fn what_holds_a_secret_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _server = serve(folder.path());
    for file in ["kubeconfig", "admin.token", "ca.key"] {
        let mode = fs::metadata(folder.path().join(".drover").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_wrong_token_and_a_wrong_ca_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let kubeconfig = fs::read_to_string(at.join(".drover/kubeconfig")).unwrap();
    let token = fs::read_to_string(at.join(".drover/admin.token")).unwrap();
    fs::write(at.join(".drover/stranger"), kubeconfig.replace(token.trim(), "nonsense")).unwrap();
    let said = drover(at, &["get", "timers", "--kubeconfig", ".drover/stranger"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("Unauthorized"), "{}", said.stderr);
    assert!(said.stderr.contains("the token of this kubeconfig"), "{}", said.stderr);

    let elsewhere = tempfile::tempdir().unwrap();
    let _other = serve(elsewhere.path());
    fs::copy(elsewhere.path().join(".drover/ca.crt"), at.join(".drover/ca.crt")).unwrap();
    let said = drover(at, &["get", "timers"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("cannot connect to the apiserver"), "{}", said.stderr);
}

//! The small verbs.

use crate::drover::drover;

#[test]
fn a_usage_error_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["nonsense"][..], &["lint"], &["lint", "--no-such-flag"], &["explain"]] {
        let said = drover(folder.path(), args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.stderr);
        assert_eq!(said.stdout, "", "{args:?}");
    }
}

#[test]
fn the_version_is_told_to_people_and_to_machines() {
    let folder = tempfile::tempdir().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(drover(folder.path(), &["version"]).stdout, format!("drover {version}\n"));
    assert_eq!(
        drover(folder.path(), &["version", "-o", "json"]).stdout,
        format!("{{\"version\":\"{version}\"}}\n")
    );
}

#[test]
fn every_shell_gets_a_completion_that_knows_the_verbs() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let said = drover(folder.path(), &["completion", shell]);
        assert_eq!(said.code, Some(0));
        assert!(said.stdout.contains("explain"), "{shell}");
    }
}

#[test]
fn explain_follows_a_path_and_guesses_at_a_misspelt_kind() {
    let folder = tempfile::tempdir().unwrap();
    let said = drover(folder.path(), &["explain", "timer.spec.template.process"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("KIND:     Timer"), "{}", said.stdout);
    assert!(said.stdout.contains("terminationGracePeriod"), "{}", said.stdout);
    let said = drover(folder.path(), &["explain", "timer"]).stdout;
    assert!(said.contains("When to run a template"), "{said}");
    let said = drover(folder.path(), &["explain", "timer.spec.zzz"]);
    assert!(said.stderr.contains("no field \"zzz\"; there are at, catchUp, "), "{}", said.stderr);
    let said = drover(folder.path(), &["explain", "tmier"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (Some(1), "error: no kind \"tmier\"; did you mean \"timer\"?\n")
    );
}

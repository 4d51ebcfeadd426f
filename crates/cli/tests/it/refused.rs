//! What is not built, or was not meant, is refused before a server is asked.

use crate::drover::drover;

#[test]
fn verbs_and_flags_that_are_to_come_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let verbs = "top exec rerun locks var pub sub import";
    for verb in verbs.split(' ') {
        let said = drover(folder.path(), &[verb, "anything", "--at-all"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{verb}");
        assert!(said.stderr.contains("not built yet: it comes with"), "{verb}: {}", said.stderr);
        assert!(
            !drover(folder.path(), &["--help"]).stdout.contains(&format!("  {verb} ")),
            "{verb} is in the help"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["get", "timer/a", "timer", "b"][..],
        &["get", "timer", "a", "-A"],
        &["get", "timer", "a", "-l", "x=y"],
        &["get", "timers", "-o", "jsno"],
        &["get", "timers", "-o", "jsonpath={range .items[*]}{.x}{end}"],
        &["get", "timers", "-o", "go-template={{.x}}"],
        &["wait", "timer/a", "--for", "ready"],
        &["wait", "timer/a"],
        &["events", "--for", "timer"],
        &["logs", "timer/"],
        &["trigger", "task/x"],
        &["run", "timer/x"],
        &["run", "x", "-p", "y"],
        &["apply", "-f", "x", "--prune"],
        &["apply", "-f", "x", "--applyset", "s"],
        &["apply", "-f", "x", "--server-side=false"],
        &["logs", "x", "--since", "5"],
    ] {
        let said = drover(folder.path(), args);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{args:?}: {}", said.stderr);
    }
}

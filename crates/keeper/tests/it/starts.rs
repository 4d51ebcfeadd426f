//! What the child is started with, and what is refused.

use super::*;

fn reason(run: &Run) -> String {
    match run.finish() {
        RunState::FailedToStart(failed) => failed.reason,
        other => panic!("it started: {other:?}"),
    }
}

#[test]
fn a_program_that_is_not_there_failed_to_start() {
    assert_eq!(
        reason(&Run::of(&["/no/such/program"])),
        "exec /no/such/program: No such file or directory (os error 2)"
    );
    assert_eq!(reason(&Run::of(&[])), "the command is empty");
}

#[test]
fn what_keeps_a_program_from_running_is_said_beyond_the_error_number() {
    assert_eq!(
        reason(&Run::of(&["no-such-program"])),
        "exec no-such-program: No such file or directory (os error 2); looked in \
         PATH=/usr/local/bin:/usr/bin:/bin"
    );
    assert_eq!(reason(&Run::of(&["/usr"])), "exec /usr: Permission denied (os error 13); it is a directory");
    let mut run = Run::of(&[]);
    let script = run.file("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").expect("write");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    run.spec.argv = vec![script.display().to_string()];
    let reason = reason(&run);
    assert!(reason.ends_with("but the interpreter or loader that it names is not"), "{reason}");
}

#[test]
fn an_unknown_user_is_refused_and_nothing_runs_as_root() {
    let mut run = Run::of(&["touch", "ran"]);
    run.spec.working_dir = Some(run.path().to_owned());
    run.spec.user = Some("no-such-user".into());
    assert_eq!(reason(&run), "unknown user \"no-such-user\"");
    assert!(!run.file("ran").exists());
}

#[test]
fn a_working_directory_that_is_not_there_is_named() {
    let mut run = Run::of(&["true"]);
    run.spec.working_dir = Some("/no/such/dir".into());
    assert_eq!(reason(&run), "working directory /no/such/dir: No such file or directory (os error 2)");
}

#[test]
fn a_user_brings_its_ids_and_no_more() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut run = Run::shell("id -u; id -g; id -G");
    run.spec.user = Some("12345".into());
    run.spec.group = Some("23456".into());
    assert_eq!(run.exited().outcome, Outcome::Code(0));
    assert_eq!(run.text(), "12345\n23456\n23456\n");
}

#[test]
fn the_environment_is_the_spec_and_the_mark() {
    let mut run = Run::of(&["/usr/bin/env"]);
    run.spec.env = vec![("A".into(), "b c".into())];
    run.exited();
    let text = run.text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=b c".to_owned(), format!("DROVER_RUN_UID={}", run.spec.run_uid)]);
}

#[test]
fn directory_mask_signals_and_descriptors_are_clean() {
    let mut run = Run::shell(
        "pwd; umask; grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; echo; cat /proc/self/oom_score_adj",
    );
    run.spec.working_dir = Some("/usr".into());
    run.spec.umask = Some(0o27);
    run.exited();
    let zeros = "0000000000000000";
    // Signals 32 and 33 belong to the C library, which touches them for nobody: they stay as this test found them.
    let text = run.text().replace("SigIgn:\t0000000180000000", "SigIgn:\t0000000000000000");
    // The fourth descriptor is the listing's own.
    assert_eq!(text, format!("/usr\n0027\nSigBlk:\t{zeros}\nSigIgn:\t{zeros}\n0 1 2 3 \n0\n"));
}

#[test]
fn input_is_delivered_whole_and_then_ends() {
    let mut run = Run::of(&["cat"]);
    let input: Vec<u8> = (0..700_001u32).map(|n| (n % 253) as u8).collect();
    run.spec.stdin = Some(input.clone());
    run.exited();
    assert!(run.output(Stream::Stdout) == input, "the output of cat is not its input");
}

#[test]
fn input_that_nobody_reads_stops_nothing() {
    let mut run = Run::shell("exec 0<&-; exit 4");
    run.spec.stdin = Some(vec![b'x'; 1 << 20]);
    assert_eq!(run.exited().outcome, Outcome::Code(4));
}

#[test]
fn a_run_is_not_started_twice() {
    let run = Run::of(&["sleep", "600"]);
    let keeper = run.start();
    let second = spawn(run.path(), &run.spec);
    assert!(matches!(second, Err(SpawnError::KeeperAlive)), "{second:?}");
    let started = run.started(&keeper);
    assert!(started.signal_main(drover_spawn::Signal::KILL).expect("signal"));
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    let third = spawn(run.path(), &run.spec);
    assert!(matches!(third, Err(SpawnError::AlreadyRan(_))), "{third:?}");
}

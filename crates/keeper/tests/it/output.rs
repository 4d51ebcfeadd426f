//! Output: complete, bounded, and never in the way of the exit code.

use super::*;
use drover_spawn::OutputLimits;
use drover_spawn::segments::tail;

#[test]
fn output_is_complete_binary_safe_and_knows_its_stream() {
    let run = Run::shell("head -c 3000000 /dev/urandom | tee copy; printf 'half a line' >&2");
    let mut run = run;
    run.spec.working_dir = Some(run.path().to_owned());
    run.exited();
    assert!(run.output(Stream::Stdout) == std::fs::read(run.file("copy")).expect("the copy"), "bytes differ");
    assert_eq!(run.output(Stream::Stderr), b"half a line");
}

#[test]
fn output_beyond_the_limit_keeps_the_newest_behind_a_visible_gap() {
    let mut run = Run::shell("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line $i; done");
    run.spec.output = OutputLimits { max_bytes: 32 << 10, segment_bytes: 8 << 10 };
    assert_eq!(run.exited().output_lost_bytes, 0, "dropping by the limit is not losing");
    let mut reader = Reader::open(run.path(), 0);
    assert!(matches!(reader.poll().expect("readable"), Some(Item::Gap { from: 0, .. })));
    assert_eq!(tail(run.path(), 11).expect("tail"), b"line 30000\n");
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let mut run = Run::shell("head -c 30000000 /dev/zero; grep VmHWM /proc/$PPID/status > peak");
    run.spec.working_dir = Some(run.path().to_owned());
    run.spec.output = OutputLimits { max_bytes: 1 << 20, segment_bytes: 1 << 18 };
    run.exited();
    let peak = std::fs::read_to_string(run.file("peak")).expect("the peak");
    let peak: u64 = peak.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("KiB");
    assert!(peak < 16_000, "the keeper grew to {peak} KiB");
}

#[test]
fn a_reader_follows_while_the_child_writes() {
    let mut run = Run::shell("echo one; read x; echo two; read x < gate");
    run.spec.working_dir = Some(run.path().to_owned());
    run.spec.stdin = Some(b"go\n".to_vec());
    rustix::fs::mknodat(rustix::fs::CWD, run.file("gate"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("a fifo");
    let keeper = run.start();
    wait_until(|| run.text() == "one\ntwo\n");
    std::fs::write(run.file("gate"), "on\n").expect("open the gate");
    wait_for(&keeper.exit_fd().expect("a pidfd"));
    assert!(matches!(state::read(run.path()), Ok(RunState::Exited(..))));
}

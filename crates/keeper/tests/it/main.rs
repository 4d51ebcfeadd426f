//! The keeper with real processes: what it records, what it ends, what it outlives.
#![allow(missing_docs, clippy::expect_used)]

mod leases;
mod outlives;
mod output;
mod starter;
mod starts;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use drover_spawn::keeper_process::{self, End};
use drover_spawn::segments::{Item, Reader, Stream};
use drover_spawn::{Exited, Keeper, Outcome, RunSpec, RunState, SpawnError, Started, Starter, Tree, state};
use rustix::event::{PollFd, PollFlags, poll};
use tempfile::TempDir;

/// What starts the keepers of most tests.
pub(crate) fn starter() -> &'static Starter {
    static STARTER: LazyLock<Starter> = LazyLock::new(|| Starter::new(keeper_program().to_owned()));
    &STARTER
}

pub(crate) fn keeper_program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_drover-keeper"))
}

/// Starts a run in a directory.
pub(crate) fn spawn(run_dir: &Path, spec: &RunSpec) -> Result<Keeper, SpawnError> {
    starter().ready(run_dir, spec)?.go()
}

/// A run of its own, in a directory of its own.
pub(crate) struct Run {
    pub(crate) dir: TempDir,
    pub(crate) spec: RunSpec,
}

impl Run {
    pub(crate) fn shell(script: &str) -> Self {
        Self::of(&["sh", "-c", script])
    }

    pub(crate) fn of(argv: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let uid = format!("test-{}-{number}", std::process::id());
        let mut spec = RunSpec::new(uid, argv.iter().map(|a| (*a).to_owned()).collect());
        spec.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
        Self { dir: tempfile::tempdir().expect("a directory"), spec }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn start(&self) -> Keeper {
        spawn(self.path(), &self.spec).expect("a keeper")
    }

    /// Runs to the end.
    pub(crate) fn finish(&self) -> RunState {
        let mut keeper = self.start();
        wait_for(&keeper.exit_fd().expect("a pidfd"));
        assert_eq!(keeper.reap().expect("reap"), Some(End::Own), "readable, and still there");
        state::read(self.path()).expect("state")
    }

    pub(crate) fn exited(&self) -> Exited {
        match self.finish() {
            RunState::Exited(_, exited) => exited,
            other => panic!("it did not end well: {other:?}"),
        }
    }

    pub(crate) fn started(&self, keeper: &Keeper) -> Started {
        wait_for(&keeper.started_fd());
        state::read(self.path()).expect("state").started().expect("it started").clone()
    }

    pub(crate) fn output(&self, stream: Stream) -> Vec<u8> {
        let mut reader = Reader::open(self.path(), 0);
        let mut bytes = Vec::new();
        while let Some(item) = reader.poll().expect("readable") {
            match item {
                Item::Record(record) if record.stream == stream => bytes.extend(record.payload),
                Item::Record(_) => {}
                Item::Gap { from, to, .. } => panic!("records {from} to {to} are missing"),
            }
        }
        bytes
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.output(Stream::Stdout)).expect("text")
    }

    /// Waits until the child has written this much of a text, and returns all of it.
    pub(crate) fn wait_for_line(&self) -> String {
        wait_until(|| self.text().ends_with('\n'));
        self.text()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Run {
    /// A test that failed leaves no process behind either.
    fn drop(&mut self) {
        let state = state::read(self.path()).unwrap_or(RunState::Nothing);
        let _ = Tree::of_run(&self.spec.run_uid, &state).end();
    }
}

pub(crate) fn wait_for(fd: &impl std::os::fd::AsFd) {
    while poll(&mut [PollFd::new(fd, PollFlags::IN)], None).is_err() {}
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

pub(crate) fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

#[test]
fn an_exit_code_is_recorded_with_its_usage() {
    let exited = Run::shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7").exited();
    assert_eq!(exited.outcome, Outcome::Code(7));
    assert!(exited.complete && exited.left_behind == 0 && exited.output_lost_bytes == 0, "{exited:?}");
    assert!(exited.user_usec + exited.system_usec > 0 && exited.max_rss_bytes > 100_000, "{exited:?}");
}

#[test]
fn a_signal_is_recorded_as_the_signal() {
    assert_eq!(Run::shell("kill -TERM $$").exited().outcome, Outcome::Signal(15));
}

//! The directory of a run is what says that it ran: how long it is kept.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drover_world::{Append, Disk, Entry, RealDisk, World};
use serde_json::json;

use crate::agent::{Dir, PATIENCE, Running, assignment, boot_id, lines, script};

/// Until it is looked again.
const MOMENT: Duration = Duration::from_millis(10);

/// A disk whose logs take nothing for as long as that is wanted.
struct Refusing(Arc<AtomicBool>);

struct Log(Box<dyn Append>, Arc<AtomicBool>);

impl Append for Log {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) { Err(io::Error::other("refused")) } else { self.0.append(bytes) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
}

impl Disk for Refusing {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }

    fn read_range(&self, path: &Path, from: u64, limit: usize) -> io::Result<Vec<u8>> {
        RealDisk.read_range(path, from, limit)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        RealDisk.write_atomic(path, bytes, mode)
    }

    fn append(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(Log(RealDisk.append(path, mode)?, Arc::clone(&self.0))))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        RealDisk.list(directory)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn remove_tree(&self, directory: &Path) -> io::Result<()> {
        RealDisk.remove_tree(directory)
    }

    fn create_dir(&self, directory: &Path, mode: u32) -> io::Result<()> {
        RealDisk.create_dir(directory, mode)
    }

    fn create_dirs(&self, directories: &[PathBuf], mode: u32) -> io::Result<()> {
        RealDisk.create_dirs(directories, mode)
    }

    fn sync_names(&self, directory: &Path) -> io::Result<()> {
        RealDisk.sync_names(directory)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_that_a_run_has_ended_goes_only_when_its_end_is_in_the_journal() {
    const FEW: usize = 8;
    let dir = Dir::new();
    let (log, go) = (dir.path().join("log"), dir.path().join("go"));
    // They wait without using the processor, however many there come to be.
    assert!(Command::new("mkfifo").arg(&go).status().unwrap().success());
    let body = format!("echo $DROVER_RUN_UID >> {}; : < {}", log.display(), go.display());
    let many = |suspend: bool| {
        let timer = json!({
            "every": "50ms", "concurrencyPolicy": "Allow", "suspend": suspend, "template": script(&body),
        });
        vec![assignment("many", "Timer", timer)]
    };
    let refuses = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(Refusing(Arc::clone(&refuses)));
    std::fs::create_dir(dir.data()).unwrap();
    let keeper = drover_keeper_image::install(&dir.data()).unwrap();
    let mut agent = Running::start_on(disk, &dir.data(), &boot_id(), World::system(), keeper);
    agent.wants(1, many(false)).await;
    agent.until("many run", |seen| (seen.runs_in("many", "Running").len() >= FEW).then_some(())).await;
    agent.wants(2, many(true)).await;
    agent
        .until("no more begin", |seen| (seen.condition("many", "Ready")?.1 == "Suspended").then_some(()))
        .await;
    let runs = dir.data().join("runs");
    let all = agent.until("all run", |seen| {
        let running = seen.runs_in("many", "Running");
        (running.len() == std::fs::read_dir(&runs).unwrap().count())
            .then(|| running.into_iter().cloned().collect::<Vec<_>>())
    });
    let all = all.await;
    let wait_for_lines = async {
        while lines(&log).len() < all.len() {
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait_for_lines).await.expect("each has begun");

    // More end than are kept, and the agent sees it and cannot write it down.
    refuses.store(true, Ordering::SeqCst);
    let keepers: Vec<_> = all.iter().map(|run| agent.state(run).started().unwrap().keeper).collect();
    let _open = OpenOptions::new().read(true).write(true).open(&go).unwrap();
    let ended = async {
        while keepers.iter().any(|keeper| keeper.open().unwrap().is_some()) {
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("all have ended");
    // Each answer comes after one more step.
    for _ in 0..FEW {
        agent.handle.standing().await.unwrap();
    }
    agent.crash().await;

    let mut agent = Running::start(&dir.data());
    agent
        .until("all have ended well", |seen| {
            (seen.runs_in("many", "Succeeded").len() == all.len()).then_some(())
        })
        .await;
    assert_eq!(lines(&log).len(), all.len(), "one ran again");
    // Now it is: the usual number is kept.
    let cleared = async {
        while std::fs::read_dir(&runs).unwrap().count() > 3 {
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(PATIENCE, cleared).await.expect("the others are gone");
}

//! A full disk: nothing crashes, nothing that was acknowledged or has ended is lost, and it heals by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use drover_world::{Append, Disk, Entry, RealDisk};
use serde_json::json;
use tokio::sync::Notify;

use crate::agent::{PATIENCE, Running, assignment, boot_id, end_all, script, text};

/// A small file system in memory; unmounted when dropped.
struct Small(PathBuf, #[expect(dead_code, reason = "holds the directory")] tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("small");
        std::fs::create_dir(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path, dir))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        let block = [0_u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        end_all(&self.0.join("data"));
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The real disk, which tells when a log could not be appended to.
#[derive(Default)]
struct Told(Arc<Notify>);

struct ToldAppend(Box<dyn Append>, Arc<Notify>);

impl Disk for Told {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        RealDisk.write_atomic(path, bytes, mode)
    }

    fn append(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(ToldAppend(RealDisk.append(path, mode)?, Arc::clone(&self.0))))
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
}

impl Append for ToldAppend {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes).inspect_err(|_| self.1.notify_one())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_neither_crashes_nor_loses() {
    let Some(small) = Small::mount() else {
        return println!("skipped: no small file system can be mounted here");
    };
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let data = small.0.join("data");
    let mut agent = Running::start(&data);
    let body = format!("while [ ! -e {} ]; do sleep 0.02; done; exit 7", go.display());
    let long = assignment("long", "Task", json!({"template": script(&body)}));
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    let beat = assignment("beat", "Timer", json!({"every": "100ms", "template": script("true")}));
    agent.wants(1, vec![long, web.clone(), beat.clone()]).await;
    let run = agent.run("long", "Running").await;
    let first = agent.run("web", "Running").await;
    agent.run("beat", "Succeeded").await;
    let state = agent.state(&run);
    let desired =
        drover_wire::Desired { revision: 2, full: true, assignments: vec![web, beat], ..Default::default() };
    small.fill();
    assert!(agent.handle.desired("epoch", desired.clone()).await.is_err(), "it cannot be on disk");
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(1), "the old one stays in force");
    // One ends, one is killed, and the agent itself is restarted, all without a byte of room.
    std::fs::write(&go, "").unwrap();
    let keeper = state.started().unwrap().keeper;
    while keeper.open().unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    agent.state(&first).started().unwrap().signal_main(drover_spawn::process::Signal::KILL).unwrap();
    let seen = agent.crash().await;
    let disk = Told::default();
    let refused = Arc::clone(&disk.0);
    let mut agent = Running::start_on(Arc::new(disk), &data, &boot_id());
    agent.seen = seen;
    assert_eq!(agent.handle.standing().await.unwrap().revision, Some(1));
    assert!(data.join("journal").exists());
    // The page that the journal ends in may still have room; the timer's ticks use it up.
    tokio::time::timeout(PATIENCE, refused.notified()).await.expect("the disk is full");
    small.free();
    let ended = agent.run("long", "Failed").await;
    assert_eq!(ended.pointer("/status/exitCode"), Some(&json!(7)));
    let ended = agent.run("web", "Failed").await;
    assert_eq!(text(&ended, "/status/signal"), "SIGKILL");
    agent
        .until("a successor", |seen| {
            let running = seen.runs_in("web", "Running");
            running.iter().any(|run| run["metadata"]["uid"] != first["metadata"]["uid"]).then_some(())
        })
        .await;
    agent.until("the word of it", |seen| seen.events.get("DiskUnwritable").map(drop)).await;
    agent.handle.desired("epoch", desired).await.unwrap();
    agent.until("the rest", |seen| (seen.ended == ["long-host-1"]).then_some(())).await;
}

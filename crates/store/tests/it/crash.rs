//! What a crash leaves behind.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::Ordering::Relaxed,
};

use drover_store::{ListOptions, Store};

use super::{open, put};

const DIR: &str = "DROVER_STORE_CRASH_DIR";

/// The process that is killed: writes without end and says what was acknowledged. As a test of its own it does
/// nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_that_gets_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = std::sync::Arc::new(open(Path::new(&dir)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for index in 0.. {
                    let key = format!("{writer}/{index}");
                    put(&*store, &key, &"v".repeat(500)).await;
                    if writeln!(std::io::stdout().lock(), "acked {key}").is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = Vec::new();
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::the_writer_that_gets_killed", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let key = |line: String| line.rsplit_once("acked ").map(|(_, key)| key.to_owned());
        acked.extend(lines.by_ref().filter_map(key).take(300));
        child.kill().unwrap();
        acked.extend(lines.filter_map(key));
        child.wait().unwrap();
    }
    let store = open(dir.path());
    for key in acked {
        assert!(store.get(key.as_bytes()).await.unwrap().is_some(), "{key} was acknowledged and is gone");
    }
}

#[tokio::test]
async fn a_torn_log_loses_its_tail_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for index in 0..8 {
        put(&store, &format!("k/{index:02}"), "value").await;
    }
    let names = ["store.db", "store.db-wal"];
    let files = names.map(|name| std::fs::read(dir.path().join(name)).unwrap());
    let log = files[1].len();
    let mut kept = Vec::new();
    for torn in [0, 1, 1000, 5000, log / 2, log - 10] {
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join(names[0]), &files[0]).unwrap();
        std::fs::write(copy.path().join(names[1]), &files[1][..log - torn]).unwrap();
        let copy = open(copy.path());
        let items = copy.list(b"", ListOptions::default()).await.unwrap().items;
        for (index, item) in items.iter().enumerate() {
            assert_eq!(
                (&item.key[..], item.mod_revision),
                (format!("k/{index:02}").as_bytes(), index as u64 + 1)
            );
        }
        assert_eq!(copy.status().await.unwrap().revision, items.len() as u64);
        kept.push(items.len());
        let dropped = copy.metrics().dropped_pages.load(Relaxed);
        // A cut between two commits leaves no trace.
        assert!(
            if torn == 0 { dropped == 0 } else { dropped > 0 || torn > 5000 },
            "{torn}: {dropped} dropped"
        );
    }
    assert_eq!(kept[0], 8);
    assert!(kept.is_sorted_by(|more, fewer| more >= fewer) && kept[1] < 8, "{kept:?}");
}

#[tokio::test]
async fn a_flipped_bit_in_the_log_loses_what_comes_after_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for index in 0..8 {
        put(&store, &format!("k/{index}"), "value").await;
    }
    let names = ["store.db", "store.db-wal"];
    let files = names.map(|name| std::fs::read(dir.path().join(name)).unwrap());
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join(names[0]), &files[0]).unwrap();
    let mut log = files[1].clone();
    let middle = log.len() / 2;
    log[middle] ^= 1;
    std::fs::write(copy.path().join(names[1]), log).unwrap();
    let copy = open(copy.path());
    let items = copy.list(b"", ListOptions::default()).await.unwrap().items;
    assert!(!items.is_empty() && items.len() < 8);
    assert!(items.iter().all(|item| item.value == "value"));
    assert!(copy.metrics().dropped_pages.load(Relaxed) > 0);
}

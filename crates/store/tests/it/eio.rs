//! A disk whose syncs fail: a program of its own, with the failing sync loaded before the real one.

use std::{path::Path, process::Command};

use drover_store::{Store, StoreError, Txn};

use super::{open, put};

const DIR: &str = "DROVER_STORE_EIO_DIR";
const SWITCH: &str = "DROVER_EIO";

/// The program on the failing disk. As a test of its own it does nothing.
#[tokio::test]
async fn the_writer_whose_disk_fails() {
    let (Some(dir), Some(switch)) = (std::env::var_os(DIR), std::env::var_os(SWITCH)) else { return };
    let store = open(Path::new(&dir));
    put(&store, "before", "v").await;
    std::fs::write(&switch, "").unwrap();
    let answer = store.txn(Txn::new().put("during", "v")).await;
    assert!(matches!(answer, Err(StoreError::Poisoned { .. })), "{answer:?}");
    // A sync that succeeds after one that failed says nothing of what the failed one was about.
    assert!(!Path::new(&switch).exists(), "no sync failed");
    let answer = store.txn(Txn::new().put("after", "v")).await;
    assert!(matches!(answer, Err(StoreError::Poisoned { .. })), "{answer:?}");
    let answer = store.txn(Txn::new().delete("before")).await;
    assert!(matches!(answer, Err(StoreError::Poisoned { .. })), "{answer:?}");
    assert!(store.get(b"before").await.unwrap().is_some(), "reads go on");
    assert_eq!(store.metrics().poisoned.load(std::sync::atomic::Ordering::Relaxed), 1);
    std::process::exit(0);
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "says why it does not run")]
async fn a_sync_that_failed_is_never_acknowledged_and_ends_writing() {
    let dir = tempfile::tempdir().unwrap();
    let shim = dir.path().join("eio.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/eio.c"))
        .status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler `cc` here");
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "eio::the_writer_whose_disk_fails", "--nocapture"])
        .env(DIR, dir.path().join("data"))
        .env(SWITCH, dir.path().join("switch"))
        .env("LD_PRELOAD", &shim)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let store = open(&dir.path().join("data"));
    assert!(store.get(b"before").await.unwrap().is_some());
    for key in ["after", "before-was-deleted"] {
        assert!(store.get(key.as_bytes()).await.unwrap().is_none());
    }
    put(&store, "again", "v").await;
}

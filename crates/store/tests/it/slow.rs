//! A disk whose syncs take long: what moves the log is slow, and no write is refused for it.

use std::{path::Path, process::Command};

use drover_store::{Options, SqliteStore, Store, Txn};

use super::options;

const DIR: &str = "DROVER_STORE_SLOW_DIR";

/// The program on the slow disk. As a test of its own it does nothing.
#[tokio::test]
async fn the_writer_whose_disk_is_slow() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let small = Options { wal_bytes: 512 << 10, ..options() };
    let store = SqliteStore::open(Path::new(&dir), small).unwrap();
    let value = vec![b'v'; 1 << 20];
    for _ in 0..30 {
        // Each is twice what the log should have at most, so that it is at its end every few writes.
        store.txn(Txn::new().put("k", value.clone())).await.unwrap();
        let status = store.status().await.unwrap();
        assert!(status.wal_bytes < 8 << 20, "{status:?}");
    }
    std::process::exit(0);
}

#[test]
#[expect(clippy::print_stderr, reason = "says why it does not run")]
fn a_slow_disk_makes_writes_wait_and_refuses_none() {
    let dir = tempfile::tempdir().unwrap();
    let shim = dir.path().join("slow.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/slow.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler `cc` here");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "slow::the_writer_whose_disk_is_slow", "--nocapture"])
        .env(DIR, dir.path().join("data"))
        .env("DROVER_SLOW_MS", "150")
        .env("LD_PRELOAD", &shim)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

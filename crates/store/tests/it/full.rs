//! A full disk: a small file system of its own for each test.

use std::path::Path;

use drover_store::{ListOptions, Options, SqliteStore, Store, StoreError, Txn};

use super::{options, put, reopen};

struct Small(tempfile::TempDir);

impl Small {
    #[expect(clippy::print_stderr, reason = "says why a test does not run")]
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        if done.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: mounting a tmpfs is not permitted here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn open(dir: &Path) -> SqliteStore {
    reopen(dir, Options { reserve_bytes: 2 << 20, ..options() }).unwrap()
}

/// Puts until the disk is full, from `k/000` on; how many were acknowledged.
async fn fill(store: &SqliteStore) -> usize {
    let mut acknowledged = 0;
    // Now and then one still fits, into what the log had for itself; a row of refusals is the end.
    let mut refused = 0;
    while refused < 5 {
        assert!(acknowledged < 2000, "the disk is never full");
        match store.txn(Txn::new().put(format!("k/{acknowledged:03}"), vec![b'x'; 20_000])).await {
            Ok(_) => (acknowledged, refused) = (acknowledged + 1, 0),
            Err(StoreError::DiskFull) => refused += 1,
            Err(other) => panic!("a full disk says {other:?}"),
        }
    }
    acknowledged
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_heals() {
    let Some(small) = Small::mount() else { return };
    let ballast = small.path().join("ballast");
    let store = open(small.path());
    let before = put(&store, "kept", "value").await;
    std::fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let acknowledged = fill(&store).await;
    assert_eq!(store.get(b"kept").await.unwrap().unwrap().value, "value");
    assert_eq!(store.list(b"k/", ListOptions::default()).await.unwrap().items.len(), acknowledged);
    let mut watch = store.watch(b"", store.status().await.unwrap().revision).await.unwrap();
    std::fs::remove_file(&ballast).unwrap();
    let after = put(&store, "after", "space").await;
    assert_eq!(watch.next().await.unwrap().unwrap().revision, after);
    assert_eq!(after, before + acknowledged as u64 + 1, "what was refused took no revision");
    drop(store);
    let store = open(small.path());
    assert_eq!(store.list(b"k/", ListOptions::default()).await.unwrap().items.len(), acknowledged);
    assert_eq!(store.get(b"after").await.unwrap().unwrap().value, "space");
}

#[tokio::test]
async fn on_a_full_disk_what_makes_room_is_written_and_makes_room() {
    let Some(small) = Small::mount() else { return };
    let store = open(small.path());
    let acknowledged = fill(&store).await;
    // The rest of the disk, which the store has let go of or never had, is somebody else's.
    let mut ballast = std::fs::File::create(small.path().join("ballast")).unwrap();
    let _ = std::io::Write::write_all(&mut ballast, &vec![1; 256 << 10]);
    assert!(matches!(store.txn(Txn::new().put("more", "v")).await, Err(StoreError::DiskFull)));
    let marked = store.txn(Txn::new().put("k/000", "marked").making_room()).await;
    assert!(marked.is_ok(), "the mark of a deletion is refused: {marked:?}");
    for index in 0..acknowledged {
        let gone = store.txn(Txn::new().delete(format!("k/{index:03}"))).await;
        assert!(gone.is_ok(), "delete {index} of {acknowledged} is refused: {gone:?}");
    }
    // The past is let go of in small steps, between which writes are refused.
    while let Err(error) = store.txn(Txn::new().put("more", "v")).await {
        assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    }
    let again = fill(&store).await;
    assert!(again * 2 > acknowledged, "after {acknowledged} deletes only {again} writes fit");
}

#[tokio::test]
async fn a_store_opens_reads_and_deletes_on_a_disk_that_was_full_before() {
    let Some(small) = Small::mount() else { return };
    let store = open(small.path());
    put(&store, "a", "v").await;
    put(&store, "b", "v").await;
    drop(store);
    let mut ballast = std::fs::File::create(small.path().join("ballast")).unwrap();
    let _ = std::io::Write::write_all(&mut ballast, &vec![1; 8 << 20]);
    let store = open(small.path());
    assert_eq!(store.list(b"", ListOptions::default()).await.unwrap().items.len(), 2);
    assert!(matches!(store.txn(Txn::new().put("c", "v")).await, Err(StoreError::DiskFull)));
    store.txn(Txn::new().delete("a")).await.unwrap();
    assert!(store.get(b"a").await.unwrap().is_none());
}

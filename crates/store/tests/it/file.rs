//! The file: what is refused, and how clearly.

use std::path::{Path, PathBuf};

use drover_store::{Engine, KeyValue, ListOptions, OpenError, Options, SqliteStore, Store, Txn};

use super::{open, options, put, reopen};

async fn filled(dir: &Path) -> (PathBuf, Vec<KeyValue>) {
    let store = open(dir);
    for index in 0..40 {
        put(&store, &format!("key/{index}"), &"some value ".repeat(40)).await;
    }
    let items = store.list(b"", ListOptions::default()).await.unwrap().items;
    (store.path().to_path_buf(), items)
}

fn refusal(dir: &Path) -> OpenError {
    reopen(dir, options()).expect_err("the file is refused")
}

#[tokio::test]
async fn a_second_server_is_refused_and_told_who_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = SqliteStore::open(dir.path(), options()).expect_err("it is locked");
    assert!(matches!(&error, OpenError::Locked { pid: Some(pid), .. } if *pid == std::process::id()));
    let text = error.to_string();
    assert!(text.contains("store.lock") && text.contains(&std::process::id().to_string()), "{text}");
    drop(first);
    open(dir.path());
}

#[tokio::test]
async fn an_epoch_lasts_and_comes_from_the_given_entropy() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = open(dir.path()).status().await.unwrap().epoch;
    assert_eq!(open(dir.path()).status().await.unwrap().epoch, epoch);
    let other = tempfile::tempdir().unwrap();
    assert_eq!(open(other.path()).status().await.unwrap().epoch, epoch);
}

#[test]
fn an_engine_works_inline_through_a_named_vfs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inline.db");
    let open = || Engine::open(&path, Options { vfs: Some("unix".into()), ..options() }).unwrap();
    let mut engine = open();
    engine.apply(&[Txn::new().put("k", "v")]).unwrap();
    drop(engine);
    assert_eq!(open().get(b"k").unwrap().unwrap().value, "v");
    assert!(Engine::open(&path, Options { vfs: Some("none such".into()), ..options() }).is_err());
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = filled(dir.path()).await;
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error}");
    assert!(std::fs::read(&path).unwrap() == before, "what is refused is left as it is");
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    std::fs::write(&path, "my shopping list\n".repeat(20)).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::NotAStore { .. }));
    assert!(std::fs::read(&path).unwrap().starts_with(b"my shopping list"));
    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    assert!(error.to_string().contains("store.db"));
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = filled(dir.path()).await;
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 50, 5000, whole.len() / 2, whole.len() - 4096] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = refusal(dir.path());
        assert!(matches!(error, OpenError::Corrupt { .. }), "at {length}: {error:?}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64);
    }
}

#[tokio::test]
async fn flipped_bytes_are_refused_or_harmless_and_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let (path, items) = filled(dir.path()).await;
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for place in (0..whole.len()).step_by(whole.len() / 100) {
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(place).take(8) {
            *byte ^= 0x55;
        }
        for name in ["store.db-wal", "store.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(name));
        }
        std::fs::write(&path, &damaged).unwrap();
        match reopen(dir.path(), options()) {
            Ok(store) => {
                let found = store.list(b"", ListOptions::default()).await.unwrap().items;
                assert!(found == items, "byte {place} changed what is served: {} items", found.len());
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("store.db"), "{error}");
            }
        }
    }
    assert!(refused > 30, "only {refused} were noticed");
}

#[tokio::test]
async fn nobody_else_may_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(open(&dir));
    assert_eq!(mode(&dir), 0o700);
    // One that a careless copy opened to all is closed again.
    let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(dir.join("store.db"), open_to_all).unwrap();
    let store = open(&dir);
    put(&store, "secret", "value").await;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let allowed = if path.ends_with("store.lock") { 0o644 } else { 0o600 };
        assert_eq!(mode(&path) & !allowed, 0, "{path:?} is open to others");
    }
}

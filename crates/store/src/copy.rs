//! A copy of a store that is in use: what is live at one revision, each row checked on its way, in a file of its own.
//!
//! The past is not copied: a copy is opened again under another epoch ([`revive`]), and nobody resumes across that.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::{
    Engine, OpenError, Options, Result, StoreError,
    file::{self, beside},
    lock::DirLock,
    log::REFUSE,
    read::Found,
    schema::{MIGRATIONS, Meta},
};

/// Rows copied between two looks at whether the copy should go on.
const LOOK_ROWS: u64 = 256;
/// How far a revived store's revision is ahead of the copy's: no history that followed the copy has come so far, so
/// that a revision of such a history is never taken for one of this store.
const AHEAD: u64 = 1 << 32;

/// What a copy is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The history it belongs to.
    pub epoch: Uuid,
    /// The revision it is of.
    pub revision: u64,
    /// Its schema.
    pub schema: i64,
    /// How many keys are live in it.
    pub keys: u64,
    /// How long its file is.
    pub bytes: u64,
}

/// Copies what is live in the database at `path` to a file `to`, which takes the place of one that is there. Ends early
/// when `stop` is set, or when the log has grown so far meanwhile that writes would soon be refused.
pub(crate) fn copy(path: &Path, options: &Options, to: &Path, stop: &AtomicBool) -> Result<Copied> {
    let source = file::connect_reader(path, options).map_err(unopened)?;
    let snapshot = source.unchecked_transaction()?;
    let meta = Meta::load(&snapshot)?;
    fresh(to)?;
    let target = Connection::open(to)?;
    // Whoever finds the file after a crash does not use it: the caller moves it to its place when it is whole.
    file::set(&target, "auto_vacuum = INCREMENTAL")?;
    file::set(&target, "journal_mode = OFF")?;
    file::set(&target, "synchronous = OFF")?;
    file::make(&target)?;
    let writing = target.unchecked_transaction()?;
    let mut keys = 0;
    {
        let mut rows = snapshot.prepare(Found::LIVE)?;
        let mut rows = rows.query([])?;
        let mut insert = writing.prepare(
            "INSERT INTO kv (revision, key, create_revision, sum, value) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        while let Some(row) = rows.next()? {
            if keys % LOOK_ROWS == 0 {
                go_on(path, options, stop)?;
            }
            let sum: i64 = row.get(3)?;
            let found = Found::read(row)?;
            insert.execute(params![
                found.revision as i64,
                &found.key[..],
                found.create_revision as i64,
                sum,
                found.value.as_deref(),
            ])?;
            keys += 1;
        }
    }
    // Nothing before its own revision can be asked of a copy.
    Meta { compacted: meta.revision, ..meta }.save(&writing)?;
    writing.commit()?;
    target.close().map_err(|(_, error)| error)?;
    let bytes = std::fs::metadata(to).map_err(broken)?.len();
    Ok(Copied { epoch: meta.epoch, revision: meta.revision, schema: MIGRATIONS.len() as i64, keys, bytes })
}

fn go_on(path: &Path, options: &Options, stop: &AtomicBool) -> Result<()> {
    if stop.load(Relaxed) {
        return Err(StoreError::Closed);
    }
    let bytes = std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    if bytes >= options.wal_bytes.saturating_mul(REFUSE / 2) {
        return Err(StoreError::Overtaken { bytes });
    }
    Ok(())
}

/// An empty file that nobody else may read.
fn fresh(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(file::MODE).open(path).map_err(broken)?;
    Ok(())
}

/// Copies a store that no server has open, see [`Store::copy`](crate::Store::copy). It is checked first, as at a start.
pub fn copy_at_rest(dir: &Path, options: &Options, to: &Path) -> Result<Copied, OpenError> {
    let path = dir.join("store.db");
    std::fs::metadata(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    let _lock = DirLock::take(&dir.join("store.lock"))?;
    let engine = Engine::open(&path, Options { reserve_bytes: 0, ..options.clone() })?;
    let copied = copy(&path, options, to, &AtomicBool::new(false));
    drop(engine);
    copied.map_err(|error| file::refuse(&path, error))
}

/// Makes a copy the beginning of a new history: `store.db` in `dir` is checked, and gets this epoch and a revision that no
/// other history has. It is on disk when this returns. Says what is in it.
pub fn revive(dir: &Path, options: &Options, epoch: Uuid) -> Result<Copied, OpenError> {
    let path = dir.join("store.db");
    std::fs::metadata(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    let engine = Engine::open(&path, Options { reserve_bytes: 0, ..options.clone() })?;
    let revision = engine.meta.revision.saturating_add(AHEAD);
    let fail = |error: StoreError| file::refuse(&path, error);
    let keys = (|| {
        let conn = &engine.conn;
        let transaction = conn.unchecked_transaction()?;
        transaction.execute("DELETE FROM meta", [])?;
        Meta { epoch, revision, compacted: revision }.save(&transaction)?;
        transaction.commit()?;
        Ok(conn.query_row("SELECT count(*) FROM kv", [], |row| row.get::<_, i64>(0))? as u64)
    })()
    .map_err(|error: rusqlite::Error| fail(error.into()))?;
    // The last connection to close moves the log into the database.
    drop(engine);
    let io = |source| OpenError::Io { path: path.clone(), source };
    let file = File::open(&path).map_err(io)?;
    file.sync_all().map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    Ok(Copied { epoch, revision, schema: MIGRATIONS.len() as i64, keys, bytes })
}

fn broken(error: std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::DiskFull;
    }
    StoreError::Backend(std::sync::Arc::new(error))
}

fn unopened(error: OpenError) -> StoreError {
    match error {
        OpenError::DiskFull { .. } => StoreError::DiskFull,
        other => StoreError::Backend(std::sync::Arc::new(other)),
    }
}

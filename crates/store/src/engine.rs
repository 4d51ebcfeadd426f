//! The store without threads: one connection that writes. [`SqliteStore`](crate::SqliteStore) runs it on its writer
//! thread; [`InlineStore`](crate::InlineStore)
//! in its callers'.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;

use crate::{
    Commit, KeyValue, ListOptions, OpenError, Options, Page, Result, Status, StoreError, Txn, TxnOutcome,
    error::is_fatal_error, file, log::FRAME_BYTES, read, reserve::Reserve, schema::Meta, torn, upkeep, write,
};

/// What [`Engine::apply`] did.
#[derive(Debug)]
pub struct Applied {
    /// For each transaction its own answer, in order.
    pub outcomes: Vec<Result<TxnOutcome>>,
    /// What was committed, in rising revision.
    pub commits: Vec<Arc<Commit>>,
}

/// A store on one connection, used by one thread at a time.
#[derive(Debug)]
pub struct Engine {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    pub(crate) meta: Meta,
    /// Bytes of rows that only the past shows.
    pub(crate) history: u64,
    /// Whether rows may be left that a compaction let go of.
    pub(crate) garbage: bool,
    /// Whether pages may be left to give back.
    pub(crate) spare: bool,
    poisoned: Option<Arc<str>>,
    pub(crate) reserve: Reserve,
    /// Commits that waited for a sync of the log.
    pub(crate) syncs: u64,
    dropped: u64,
}

impl Engine {
    /// Opens the database file at `path`, or makes it. The caller sees to it that nobody else writes to it.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_path_buf();
        let kept_back = if options.vfs.is_some() { 0 } else { options.reserve_bytes };
        let reserve = file::beside(&path, "-reserve");
        let written =
            if options.vfs.is_some() { Ok(0) } else { torn::frames_written(&file::beside(&path, "-wal")) };
        let conn = match file::open(&path, &options) {
            // SQLite wants a little space of its own before it reads.
            Err(OpenError::DiskFull { .. }) if std::fs::remove_file(&reserve).is_ok() => {
                file::open(&path, &options)
            }
            opened => opened,
        }?;
        let damaged =
            |error: StoreError| OpenError::Corrupt { path: path.clone(), detail: error.to_string() };
        let meta = Meta::load(&conn).map_err(damaged)?;
        let history = upkeep::past_bytes(&conn).map_err(damaged)?;
        let reserve = Reserve::new(reserve, kept_back);
        let mut engine = Self {
            conn,
            path,
            options,
            meta,
            history,
            garbage: true,
            spare: true,
            poisoned: None,
            reserve,
            syncs: 0,
            dropped: 0,
        };
        let (kept, _) = engine
            .log_frames()
            .map_err(|error| OpenError::Corrupt { path: engine.path.clone(), detail: error.to_string() })?;
        // That it cannot be read is an error of the open itself, if it matters.
        engine.dropped = written.unwrap_or(0).saturating_sub(kept);
        if engine.dropped > 0 {
            let (revision, pages) = (engine.meta.revision, engine.dropped);
            tracing::warn!(
                path = %engine.path.display(), revision, pages,
                "the log ended in a write that a crash cut off, or was damaged: it was dropped from there on"
            );
        }
        Ok(engine)
    }

    /// Pages at the end of the log that could not be used when it was opened.
    pub fn dropped_pages(&self) -> u64 {
        self.dropped
    }

    /// Leaves the log to another connection to move into the database.
    pub(crate) fn leave_log(&self) -> Result<()> {
        file::set(&self.conn, "wal_autocheckpoint = 0")
    }

    /// Runs transactions in order and commits them together: one sync for all. A conflict or an invalid transaction
    /// is that one's answer; an error is everybody's, and then nothing was changed. On a full disk only what makes
    /// room is written, into the space kept back for it; the others are answered `DiskFull`.
    pub fn apply(&mut self, txns: &[Txn]) -> Result<Applied> {
        self.writable()?;
        let all = if self.reserve.take() { self.attempt(txns, |_| true) } else { Err(StoreError::DiskFull) };
        match all {
            Err(StoreError::DiskFull) => {
                self.reserve.release();
                if !txns.iter().any(Txn::may_use_reserve) {
                    return Err(StoreError::DiskFull);
                }
                // The log may hold what space there is.
                self.restart_log()?;
                self.attempt(txns, Txn::may_use_reserve)
            }
            done => done,
        }
    }

    fn attempt(&mut self, txns: &[Txn], wanted: impl Fn(&Txn) -> bool) -> Result<Applied> {
        let (mut meta, mut history) = (self.meta, self.history);
        let mut applied = Applied { outcomes: Vec::with_capacity(txns.len()), commits: Vec::new() };
        self.write(|conn| {
            for txn in txns {
                let refused = if wanted(txn) { write::check(txn).err() } else { Some(StoreError::DiskFull) };
                if let Some(error) = refused {
                    applied.outcomes.push(Err(error));
                    continue;
                }
                let written = write::run(conn, txn, meta.revision)?;
                if let Some(commit) = written.commit {
                    meta.revision = commit.revision;
                    applied.commits.push(Arc::new(commit));
                }
                history += written.history;
                applied.outcomes.push(Ok(written.outcome));
            }
            if applied.commits.is_empty() {
                return Ok(false);
            }
            meta.save(conn)?;
            Ok(true)
        })?;
        (self.meta, self.history) = (meta, history);
        Ok(applied)
    }

    pub(crate) fn writable(&self) -> Result<()> {
        match &self.poisoned {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Runs `change` in one transaction of the database, kept when it says so.
    pub(crate) fn write(&mut self, change: impl FnOnce(&Connection) -> Result<bool>) -> Result<()> {
        let conn = &self.conn;
        let done = (|| {
            conn.execute_batch("BEGIN IMMEDIATE")?;
            let keep = change(conn)?;
            conn.execute_batch(if keep { "COMMIT" } else { "ROLLBACK" })?;
            Ok(keep)
        })();
        self.syncs += u64::from(matches!(done, Ok(true)));
        if done.is_err() && !self.conn.is_autocommit() {
            // Some errors have rolled back already; when this fails too, the error below says what counts.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        done.map(|_| ()).map_err(|error| self.judge(error))
    }

    /// Ends writing until the store is opened again.
    pub(crate) fn poison(&mut self, reason: Arc<str>) {
        self.poisoned.get_or_insert(reason);
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn poisoned(&self) -> Option<&Arc<str>> {
        self.poisoned.as_ref()
    }

    /// Whether the disk is full, as far as is known: only what makes room is written.
    pub(crate) fn is_full(&self) -> bool {
        !self.reserve.is_held()
    }

    /// Takes it that the disk is full. Says whether there was a reserve to let go of.
    pub(crate) fn let_reserve_go(&mut self) -> bool {
        self.reserve.release()
    }

    /// How much is kept back.
    pub(crate) fn reserve_bytes(&self) -> Option<u64> {
        self.reserve.bytes()
    }

    /// Commits so far, each of which waited for one sync of the log.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// An error of the disk ends writing: after a failed sync nobody knows what is on it.
    pub(crate) fn judge(&mut self, error: StoreError) -> StoreError {
        if !is_fatal_error(&error) && self.conn.is_autocommit() {
            return error;
        }
        let reason: Arc<str> = match &error {
            StoreError::Backend(source) => source.to_string().into(),
            other => other.to_string().into(),
        };
        self.poison(reason.clone());
        StoreError::Poisoned { reason }
    }

    /// The newest value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        read::get(&self.conn, key)
    }

    /// The keys under a prefix as of one revision.
    pub fn list(&self, prefix: &[u8], options: &ListOptions) -> Result<Page> {
        read::list(&self.conn, prefix, options)
    }

    /// The commits after revision `after` that touch the prefix, up to about `rows` changes, and how far that went.
    pub fn changes(&self, prefix: &[u8], after: u64, rows: usize) -> Result<(Vec<Commit>, u64)> {
        read::at_most(after, &self.meta)?;
        read::changes(&self.conn, prefix, (after, self.meta.revision), rows)
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.meta.revision
    }

    /// The oldest revision that can be listed.
    pub(crate) fn compacted(&self) -> u64 {
        self.meta.compacted
    }

    /// The state of the store.
    pub fn status(&self) -> Status {
        let Meta { epoch, revision, compacted } = self.meta;
        let (db_bytes, wal_bytes) = if self.options.vfs.is_some() { self.told() } else { self.found() };
        Status { revision, compacted, epoch, db_bytes, wal_bytes }
    }

    /// How long database and log are, by the file system.
    fn found(&self) -> (u64, u64) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        (size(&self.path), size(&file::beside(&self.path, "-wal")))
    }

    /// The same by SQLite, which alone knows where the files of a VFS are.
    fn told(&self) -> (u64, u64) {
        let number = |name| file::number(&self.conn, name).ok().and_then(|found| u64::try_from(found).ok());
        let (pages, size) = (number("page_count").unwrap_or(0), number("page_size").unwrap_or(0));
        (pages * size, self.log_frames().map_or(0, |(frames, _)| frames * FRAME_BYTES))
    }

    /// Lets go of what only revisions before `revision` show. The rows go with the next steps of
    /// [`Engine::maintain`].
    pub fn compact(&mut self, revision: u64) -> Result<()> {
        read::at_most(revision, &self.meta)?;
        self.writable()?;
        if revision > self.meta.compacted {
            let meta = Meta { compacted: revision, ..self.meta };
            self.write(|conn| meta.save(conn).map(|()| true).map_err(Into::into))?;
            self.meta = meta;
            self.garbage = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> StoreError {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_failed_sync_ends_writing_and_leaves_reading() {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = Engine::open(dir.path().join("db"), Options::new(|| 1)).unwrap();
        let put = || vec![Txn::new().put("k", "v")];
        engine.apply(&put()).unwrap();
        let answer = engine.write(|_| Err(failure(ffi::SQLITE_IOERR_FSYNC)));
        assert!(matches!(answer, Err(StoreError::Poisoned { .. })));
        assert!(matches!(engine.apply(&put()), Err(StoreError::Poisoned { .. })));
        assert!(matches!(engine.compact(1), Err(StoreError::Poisoned { .. })));
        assert_eq!(engine.get(b"k").unwrap().unwrap().mod_revision, 1);
    }

    #[test]
    fn a_full_disk_undoes_the_batch_and_lets_the_next_try() {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = Engine::open(dir.path().join("db"), Options::new(|| 1)).unwrap();
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            let answer = engine.write(|conn| {
                write::run(conn, &Txn::new().put("lost", "v"), 0)?;
                Err(failure(code))
            });
            assert!(matches!(answer, Err(StoreError::DiskFull)));
        }
        assert!(engine.get(b"lost").unwrap().is_none());
        let applied = engine.apply(&[Txn::new().put("k", "v")]).unwrap();
        assert_eq!(applied.commits[0].revision, 1);
    }
}

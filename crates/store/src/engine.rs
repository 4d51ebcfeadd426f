//! The store without threads: one connection that writes. [`SqliteStore`](crate::SqliteStore) runs it on its writer
//! thread; a simulation runs it inline.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, params};

use crate::{
    Commit, KeyValue, ListOptions, OpenError, Options, Page, Result, Status, StoreError, Txn, TxnOutcome,
    error::{is_fatal, is_full},
    file, read,
    schema::Meta,
    write::{self, ROW_BYTES},
};

/// Rows removed, and pages given back, in one step of [`Engine::maintain`].
const STEP_ROWS: i64 = 512;
const STEP_PAGES: i64 = 256;
/// Free pages kept for the next writes.
const SPARE_PAGES: i64 = 64;

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
    conn: Connection,
    path: PathBuf,
    options: Options,
    meta: Meta,
    /// Bytes of rows that only the past shows.
    history: u64,
    /// Whether rows may be left that a compaction let go of.
    garbage: bool,
    /// Whether pages may be left to give back.
    spare: bool,
    poisoned: Option<Arc<str>>,
}

impl Engine {
    /// Opens the database file at `path`, or makes it. The caller sees to it that nobody else writes to it.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_path_buf();
        let conn = file::open(&path, &options)?;
        let damaged =
            |error: StoreError| OpenError::Corrupt { path: path.clone(), detail: error.to_string() };
        let meta = Meta::load(&conn).map_err(damaged)?;
        let history = past_bytes(&conn).map_err(damaged)?;
        Ok(Self { conn, path, options, meta, history, garbage: true, spare: true, poisoned: None })
    }

    /// Leaves the log to another connection to move into the database.
    pub(crate) fn leave_log(&self) -> Result<()> {
        file::set(&self.conn, "wal_autocheckpoint = 0")
    }

    /// Runs transactions in order and commits them together: one sync for all. A conflict or an invalid transaction
    /// is that one's answer; an error is everybody's, and then nothing was changed.
    pub fn apply(&mut self, txns: &[Txn]) -> Result<Applied> {
        self.writable()?;
        let (mut meta, mut history) = (self.meta, self.history);
        let mut applied = Applied { outcomes: Vec::with_capacity(txns.len()), commits: Vec::new() };
        self.write(|conn| {
            for txn in txns {
                if let Err(error) = write::check(txn) {
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

    fn writable(&self) -> Result<()> {
        match &self.poisoned {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Runs `change` in one transaction of the database, kept when it says so.
    fn write(&mut self, change: impl FnOnce(&Connection) -> Result<bool>) -> Result<()> {
        let conn = &self.conn;
        let done = (|| {
            conn.execute_batch("BEGIN IMMEDIATE")?;
            let keep = change(conn)?;
            conn.execute_batch(if keep { "COMMIT" } else { "ROLLBACK" })?;
            Ok(())
        })();
        if done.is_err() && !self.conn.is_autocommit() {
            // Some errors have rolled back already; when this fails too, the error below says what counts.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        done.map_err(|error| self.judge(error))
    }

    /// An error of the disk ends writing: after a failed sync nobody knows what is on it.
    fn judge(&mut self, error: StoreError) -> StoreError {
        let fatal = match &error {
            StoreError::Corrupt { .. } => true,
            StoreError::Backend(source) => source
                .downcast_ref::<rusqlite::Error>()
                .is_some_and(|error| is_fatal(error) && !is_full(error)),
            _ => !self.conn.is_autocommit(),
        };
        if !fatal {
            return error;
        }
        let reason: Arc<str> = match &error {
            StoreError::Backend(source) => source.to_string().into(),
            other => other.to_string().into(),
        };
        self.poisoned = Some(reason.clone());
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

    /// The state of the store.
    pub fn status(&self) -> Status {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        Status {
            revision: self.meta.revision,
            compacted: self.meta.compacted,
            epoch: self.meta.epoch,
            db_bytes: size(&self.path),
            wal_bytes: size(&file::beside(&self.path, "-wal")),
        }
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

    /// One small step of what keeps the history bounded: trims it when it is due, removes some rows, gives some
    /// pages back. Says how many rows went, and whether there is more to do.
    pub fn maintain(&mut self) -> Result<(u64, bool)> {
        self.writable()?;
        let due = self.due()?;
        if due > self.meta.compacted || self.garbage {
            let meta = Meta { compacted: due.max(self.meta.compacted), ..self.meta };
            let moved = meta != self.meta;
            let (mut rows, mut bytes) = (0, 0);
            self.write(|conn| {
                for sql in [REMOVE_REPLACED, REMOVE_DELETED] {
                    let mut statement = conn.prepare_cached(sql)?;
                    let mut gone = statement.query(params![meta.compacted as i64, STEP_ROWS])?;
                    while let Some(row) = gone.next()? {
                        rows += 1;
                        bytes += row.get::<_, i64>(0)? as u64 + ROW_BYTES;
                    }
                }
                if moved {
                    meta.save(conn)?;
                }
                Ok(rows > 0 || moved)
            })?;
            self.meta = meta;
            self.history = self.history.saturating_sub(bytes);
            self.garbage = rows > 0;
            self.spare |= rows > 0;
            return Ok((rows, true));
        }
        if self.spare {
            let free = file::number(&self.conn, "freelist_count")?;
            if free > SPARE_PAGES {
                let pages = (free - SPARE_PAGES).min(STEP_PAGES);
                file::set(&self.conn, &format!("incremental_vacuum({pages})"))
                    .map_err(|error| self.judge(error))?;
                return Ok((0, true));
            }
            self.spare = false;
        }
        Ok((0, false))
    }

    /// The revision history should begin at by the options; trimmed late, so that a step has something to do.
    fn due(&self) -> Result<u64> {
        let (keep, Meta { revision, compacted, .. }) = (self.options.keep_revisions, self.meta);
        let mut due = compacted;
        if revision - compacted > keep.saturating_add(keep / 10) {
            due = revision - keep;
        }
        if self.history > self.options.keep_bytes + self.options.keep_bytes / 10 {
            let mut statement = self.conn.prepare_cached(
                "SELECT superseded, length(key) + length(value) FROM kv INDEXED BY kv_superseded
                 WHERE superseded > ?1 ORDER BY superseded LIMIT ?2",
            )?;
            let mut rows = statement.query(params![due as i64, STEP_ROWS])?;
            let mut left = self.history;
            while let Some(row) = rows.next()? {
                if left <= self.options.keep_bytes {
                    break;
                }
                due = due.max(row.get::<_, i64>(0)? as u64);
                left = left.saturating_sub(row.get::<_, i64>(1)? as u64 + ROW_BYTES);
            }
        }
        Ok(due)
    }

    /// Moves the log into the database as far as no reader stands in the way; never waits for one.
    pub fn checkpoint(&mut self) -> Result<()> {
        file::set(&self.conn, "wal_checkpoint(PASSIVE)")
    }
}

const REMOVE_REPLACED: &str = "DELETE FROM kv WHERE id IN
    (SELECT id FROM kv INDEXED BY kv_superseded WHERE superseded <= ?1 ORDER BY superseded LIMIT ?2)
    RETURNING length(key) + length(value)";
const REMOVE_DELETED: &str = "DELETE FROM kv WHERE id IN
    (SELECT id FROM kv INDEXED BY kv_deleted WHERE value IS NULL AND revision <= ?1 LIMIT ?2)
    RETURNING length(key)";

fn past_bytes(conn: &Connection) -> Result<u64> {
    let bytes: i64 = conn.query_row(
        "SELECT coalesce(sum(length(key) + coalesce(length(value), 0) + ?1), 0) FROM kv
         WHERE superseded IS NOT NULL OR value IS NULL",
        [ROW_BYTES as i64],
        |row| row.get(0),
    )?;
    Ok(bytes as u64)
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

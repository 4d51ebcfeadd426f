//! What keeps the database small: history trimmed by count and bytes, rows removed and pages given back in small steps,
//! the log moved.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::{Engine, Result, file, schema::Meta, write::ROW_BYTES};

/// Rows removed, and pages given back, in one step of [`Engine::maintain`].
const STEP_ROWS: i64 = 512;
const STEP_PAGES: i64 = 256;
/// The same on a full disk, where the log of a step has to fit into what was kept back.
const FULL_STEP: (i64, i64) = (16, 16);
/// Free pages kept for the next writes.
const SPARE_PAGES: i64 = 64;
/// How long a writer waits for those who read the log.
const RESTART_WAIT: Duration = Duration::from_millis(100);

impl Engine {
    /// One small step of what keeps the history bounded: trims it when it is due, removes some rows, gives some
    /// pages back. Says how many rows went, and whether there is more to do.
    pub fn maintain(&mut self) -> Result<(u64, bool)> {
        self.writable()?;
        let (rows_at_once, pages_at_once) = if self.is_full() { FULL_STEP } else { (STEP_ROWS, STEP_PAGES) };
        if self.is_full() {
            self.restart_log()?;
        }
        let due = self.due()?;
        if due > self.meta.compacted || self.garbage {
            let meta = Meta { compacted: due.max(self.meta.compacted), ..self.meta };
            let moved = meta != self.meta;
            let (mut rows, mut bytes) = (0, 0);
            self.write(|conn| {
                for sql in [REMOVE_REPLACED, REMOVE_DELETED] {
                    let mut statement = conn.prepare_cached(sql)?;
                    let mut gone = statement.query(params![meta.compacted as i64, rows_at_once])?;
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
                let pages = (free - SPARE_PAGES).min(pages_at_once);
                file::set(&self.conn, &format!("incremental_vacuum({pages})"))
                    .map_err(|error| self.judge(error))?;
                self.syncs += 1;
                return Ok((0, true));
            }
            self.spare = false;
        }
        if self.is_full() {
            // The file shrinks when the log that says so is moved into it.
            self.restart_log()?;
            self.reserve.take();
        }
        Ok((0, false))
    }

    /// The revision history should begin at by the options; trimmed late, so that a step has something to do.
    fn due(&self) -> Result<u64> {
        let (keep, Meta { revision, compacted, .. }) = (self.options.keep_revisions, self.meta);
        let mut due = compacted;
        if self.is_full() {
            // The past goes before the present does.
            return Ok(revision);
        }
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
        file::set(&self.conn, "wal_checkpoint(PASSIVE)").map_err(|error| self.judge(error))
    }

    /// Moves the whole log into the database, so that the next commit starts it over. Waits a moment for those who
    /// read; says whether all was done.
    pub(crate) fn restart_log(&mut self) -> Result<bool> {
        self.conn.busy_timeout(RESTART_WAIT)?;
        // On a full disk the log gives its own space back too.
        let how = if self.is_full() { "TRUNCATE" } else { "RESTART" };
        let sql = format!("PRAGMA wal_checkpoint({how})");
        let done = self.conn.query_row(&sql, [], |row| row.get::<_, i64>(0));
        self.conn.busy_timeout(file::BUSY_WAIT)?;
        match done {
            Ok(busy) => Ok(busy == 0),
            Err(error) => Err(self.judge(error.into())),
        }
    }

    /// Pages in the log, and how many of them are in the database too.
    pub(crate) fn log_frames(&self) -> Result<(u64, u64)> {
        let mut statement = self.conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        let count = |found: i64| u64::try_from(found).unwrap_or(0);
        Ok(statement.query_row([], |row| Ok((count(row.get(1)?), count(row.get(2)?))))?)
    }
}

const REMOVE_REPLACED: &str = "DELETE FROM kv WHERE id IN
    (SELECT id FROM kv INDEXED BY kv_superseded WHERE superseded <= ?1 ORDER BY superseded LIMIT ?2)
    RETURNING length(key) + length(value)";
const REMOVE_DELETED: &str = "DELETE FROM kv WHERE id IN
    (SELECT id FROM kv INDEXED BY kv_deleted WHERE value IS NULL AND revision <= ?1 LIMIT ?2)
    RETURNING length(key)";

pub(crate) fn past_bytes(conn: &Connection) -> Result<u64> {
    let bytes: i64 = conn.query_row(
        "SELECT coalesce(sum(length(key) + coalesce(length(value), 0) + ?1), 0) FROM kv
         WHERE superseded IS NOT NULL OR value IS NULL",
        [ROW_BYTES as i64],
        |row| row.get(0),
    )?;
    Ok(bytes as u64)
}

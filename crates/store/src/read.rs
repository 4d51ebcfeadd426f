//! Reading on any connection: each function sees one snapshot of the database.

use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use crate::{
    Change, ChangeKind, Commit, KeyValue, ListOptions, MAX_KEY_BYTES, Page, Result, StoreError,
    schema::{Meta, row_sum},
};

/// The columns [`Found::read`] wants, in its order.
macro_rules! columns {
    () => {
        "key, revision, create_revision, sum, value"
    };
}

/// A row, checked against its sum.
pub(crate) struct Found {
    pub(crate) key: Bytes,
    pub(crate) revision: u64,
    pub(crate) create_revision: u64,
    pub(crate) value: Option<Bytes>,
}

impl Found {
    /// Selects all that is live, in the order in which it was written.
    pub(crate) const LIVE: &str =
        concat!("SELECT ", columns!(), " FROM kv WHERE superseded IS NULL AND value IS NOT NULL ORDER BY id");

    pub(crate) fn read(row: &Row<'_>) -> Result<Self> {
        let key: Vec<u8> = row.get(0)?;
        let (revision, create_revision) = (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64);
        let value: Option<Vec<u8>> = row.get(4)?;
        if row.get::<_, i64>(3)? != row_sum(&key, revision, create_revision, value.as_deref()) {
            let key = String::from_utf8_lossy(&key).into_owned();
            return Err(StoreError::Corrupt {
                detail: format!("key {key:?} at revision {revision} fails its checksum"),
            });
        }
        Ok(Self { key: key.into(), revision, create_revision, value: value.map(Bytes::from) })
    }

    fn live(self) -> Option<KeyValue> {
        let Self { key, revision, create_revision, value } = self;
        value.map(|value| KeyValue { key, value, create_revision, mod_revision: revision })
    }
}

/// The keys with a prefix: from it, up to the first key after all of them.
pub(crate) fn range(prefix: &[u8], after: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
    let mut upper = prefix.to_vec();
    while upper.last() == Some(&0xff) {
        upper.pop();
    }
    match upper.last_mut() {
        Some(last) => *last += 1,
        // No key is as long as this.
        None => upper = vec![0xff; MAX_KEY_BYTES + 1],
    }
    let mut lower = prefix.to_vec();
    if let Some(after) = after
        && after >= prefix
    {
        lower = after.to_vec();
        lower.push(0);
    }
    (lower, upper)
}

pub(crate) fn get(conn: &Connection, key: &[u8]) -> Result<Option<KeyValue>> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM kv INDEXED BY kv_live WHERE key = ?1 AND superseded IS NULL AND value IS NOT NULL"
    ))?;
    let mut rows = statement.query([key])?;
    Ok(match rows.next()? {
        Some(row) => Found::read(row)?.live(),
        None => None,
    })
}

pub(crate) fn list(conn: &Connection, prefix: &[u8], options: &ListOptions) -> Result<Page> {
    let snapshot = conn.unchecked_transaction()?;
    let meta = Meta::load(&snapshot)?;
    let revision = options.revision.unwrap_or(meta.revision);
    at_most(revision, &meta)?;
    if revision < meta.compacted {
        return Err(StoreError::Compacted { compacted: meta.compacted });
    }
    let newest = revision == meta.revision;
    let limit = if options.limit == 0 { i64::MAX } else { i64::try_from(options.limit).unwrap_or(i64::MAX) };
    let (lower, upper) = range(prefix, options.start_after.as_deref());
    let (select, count) = if newest { (SELECT_NEWEST, COUNT_NEWEST) } else { (SELECT_AT, COUNT_AT) };
    let mut items = Vec::new();
    {
        let mut statement = snapshot.prepare_cached(select)?;
        let mut rows = statement.query(params![lower, upper, revision as i64, limit])?;
        while let Some(row) = rows.next()? {
            items.extend(Found::read(row)?.live());
        }
    }
    let mut remaining = 0;
    if options.limit != 0
        && items.len() == options.limit
        && let Some(last) = items.last()
    {
        let (lower, upper) = range(prefix, Some(&last.key));
        let left: i64 = snapshot
            .prepare_cached(count)?
            .query_row(params![lower, upper, revision as i64], |row| row.get(0))?;
        remaining = left as u64;
    }
    Ok(Page { items, revision, more: remaining > 0, remaining })
}

const SELECT_NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM kv INDEXED BY kv_live WHERE key >= ?1 AND key < ?2 AND ?3 = ?3",
    " AND superseded IS NULL AND value IS NOT NULL ORDER BY key LIMIT ?4"
);
const COUNT_NEWEST: &str =
    "SELECT count(*) FROM kv INDEXED BY kv_live WHERE key >= ?1 AND key < ?2 AND ?3 = ?3
    AND superseded IS NULL AND value IS NOT NULL";
const SELECT_AT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM kv INDEXED BY kv_key WHERE key >= ?1 AND key < ?2 AND revision <= ?3",
    " AND (superseded IS NULL OR superseded > ?3) AND value IS NOT NULL ",
    // A deletion is a row of its own, and the row it replaced says so.
    "ORDER BY key LIMIT ?4"
);
const COUNT_AT: &str =
    "SELECT count(*) FROM kv INDEXED BY kv_key WHERE key >= ?1 AND key < ?2 AND revision <= ?3
    AND (superseded IS NULL OR superseded > ?3) AND value IS NOT NULL";

/// The commits after `after` and up to `upto` that touch the prefix: whole revisions, some more than `rows` rows at
/// most. Also says how far that is.
pub(crate) fn changes(
    conn: &Connection,
    prefix: &[u8],
    (after, upto): (u64, u64),
    rows: usize,
) -> Result<(Vec<Commit>, u64)> {
    let snapshot = conn.unchecked_transaction()?;
    let meta = Meta::load(&snapshot)?;
    if after < meta.compacted {
        return Err(StoreError::Compacted { compacted: meta.compacted });
    }
    let mut commits: Vec<Commit> = Vec::new();
    let mut statement = snapshot.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM kv INDEXED BY kv_revision WHERE revision > ?1 AND revision <= ?2 ORDER BY revision, id"
    ))?;
    let mut found = statement.query(params![after as i64, upto as i64])?;
    let (mut seen, mut reached) = (0, after);
    while let Some(row) = found.next()? {
        let row = Found::read(row)?;
        if row.revision != reached {
            if seen >= rows {
                return Ok((commits, reached));
            }
            reached = row.revision;
        }
        seen += 1;
        if !row.key.starts_with(prefix) {
            continue;
        }
        let kind = match row.value {
            Some(value) => ChangeKind::Put { value },
            None => ChangeKind::Delete { last: replaced(&snapshot, &row.key, row.revision)? },
        };
        let change = Change { key: row.key, create_revision: row.create_revision, kind };
        match commits.last_mut() {
            Some(commit) if commit.revision == row.revision => commit.changes.push(change),
            _ => commits.push(Commit { revision: row.revision, changes: vec![change] }),
        }
    }
    Ok((commits, upto))
}

fn replaced(conn: &Connection, key: &[u8], revision: u64) -> Result<Bytes> {
    let value: Vec<u8> = conn
        .prepare_cached("SELECT value FROM kv INDEXED BY kv_key WHERE key = ?1 AND superseded = ?2")?
        .query_row(params![key, revision as i64], |row| row.get(0))?;
    Ok(value.into())
}

pub(crate) fn at_most(revision: u64, meta: &Meta) -> Result<()> {
    if revision > meta.revision {
        return Err(StoreError::FutureRevision { requested: revision, current: meta.revision });
    }
    Ok(())
}

/// Every row against its sum, and the newest against the meta row.
pub(crate) fn verify(conn: &Connection) -> Result<()> {
    let meta = Meta::load(conn)?;
    let mut statement = conn.prepare(concat!("SELECT ", columns!(), " FROM kv"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let row = Found::read(row)?;
        if row.revision > meta.revision {
            return Err(StoreError::Corrupt {
                detail: format!("revision {} is beyond the store's {}", row.revision, meta.revision),
            });
        }
    }
    Ok(())
}

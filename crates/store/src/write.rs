//! One transaction inside the database's: compares, then ops.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Change, ChangeKind, Commit, MAX_KEY_BYTES, MAX_TXN_BYTES, MAX_TXN_OPS, Op, Result, StoreError, Txn,
    TxnOutcome, read, schema::row_sum,
};

/// What a row costs besides its key and value, roughly.
pub(crate) const ROW_BYTES: u64 = 64;

/// Refuses what could never be carried out.
pub(crate) fn check(txn: &Txn) -> Result<()> {
    let invalid = |reason: String| Err(StoreError::Invalid { reason });
    if txn.ops.len() > MAX_TXN_OPS || txn.compares.len() > MAX_TXN_OPS {
        return invalid(format!("a transaction has at most {MAX_TXN_OPS} ops and as many compares"));
    }
    let keys = txn.compares.iter().map(|compare| &compare.key).chain(txn.ops.iter().map(Op::key));
    let mut bytes = 0;
    for key in keys {
        bytes += key.len();
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return invalid(format!("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {}", key.len()));
        }
    }
    for op in &txn.ops {
        if let Op::Put { value, .. } = op {
            bytes += value.len();
        }
    }
    if bytes > MAX_TXN_BYTES {
        return invalid(format!("a transaction has at most {MAX_TXN_BYTES} bytes, this one has {bytes}"));
    }
    let mut keys: Vec<&Bytes> = txn.ops.iter().map(Op::key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return invalid("a transaction changes a key at most once".into());
    }
    Ok(())
}

/// The newest row of a live key.
struct Head {
    id: i64,
    create_revision: i64,
    revision: i64,
    bytes: i64,
}

fn head(conn: &Connection, key: &[u8]) -> rusqlite::Result<Option<Head>> {
    conn.prepare_cached(
        "SELECT id, create_revision, revision, length(key) + length(value) FROM kv INDEXED BY kv_live
         WHERE key = ?1 AND superseded IS NULL AND value IS NOT NULL",
    )?
    .query_row([key], |row| {
        Ok(Head { id: row.get(0)?, create_revision: row.get(1)?, revision: row.get(2)?, bytes: row.get(3)? })
    })
    .optional()
}

/// A transaction's outcome, its commit when it changed something, and the bytes it turned into history.
pub(crate) struct Written {
    pub(crate) outcome: TxnOutcome,
    pub(crate) commit: Option<Commit>,
    pub(crate) history: u64,
}

/// Runs `txn` as the one after `revision`.
pub(crate) fn run(conn: &Connection, txn: &Txn, revision: u64) -> Result<Written> {
    for compare in &txn.compares {
        let found = head(conn, &compare.key)?.map_or(0, |head| head.revision as u64);
        if found != compare.mod_revision {
            let key = compare.key.clone();
            let current = read::get(conn, &key)?;
            return Ok(Written { outcome: TxnOutcome::Conflict { key, current }, commit: None, history: 0 });
        }
    }
    let next = revision + 1;
    let (mut changes, mut history) = (Vec::with_capacity(txn.ops.len()), 0);
    for op in &txn.ops {
        let head = head(conn, op.key())?;
        if let Some(head) = &head {
            history += head.bytes as u64 + ROW_BYTES;
        }
        match op {
            Op::Put { key, value } => {
                let create_revision = head.as_ref().map_or(next, |head| head.create_revision as u64);
                supersede(conn, head.as_ref(), next)?;
                insert(conn, key, (next, create_revision), Some(value))?;
                let kind = ChangeKind::Put { value: value.clone() };
                changes.push(Change { key: key.clone(), create_revision, kind });
            }
            Op::Delete { key } => {
                let Some(head) = head else { continue };
                let last = read::get(conn, key)?.map(|found| found.value).unwrap_or_default();
                let create_revision = head.create_revision as u64;
                supersede(conn, Some(&head), next)?;
                insert(conn, key, (next, create_revision), None)?;
                history += key.len() as u64 + ROW_BYTES;
                changes.push(Change { key: key.clone(), create_revision, kind: ChangeKind::Delete { last } });
            }
        }
    }
    Ok(if changes.is_empty() {
        Written { outcome: TxnOutcome::Committed { revision }, commit: None, history: 0 }
    } else {
        let commit = Some(Commit { revision: next, changes });
        Written { outcome: TxnOutcome::Committed { revision: next }, commit, history }
    })
}

fn supersede(conn: &Connection, head: Option<&Head>, revision: u64) -> rusqlite::Result<()> {
    if let Some(head) = head {
        conn.prepare_cached("UPDATE kv SET superseded = ?2 WHERE id = ?1")?
            .execute(params![head.id, revision as i64])?;
    }
    Ok(())
}

fn insert(
    conn: &Connection,
    key: &[u8],
    (revision, create_revision): (u64, u64),
    value: Option<&Bytes>,
) -> rusqlite::Result<()> {
    let value = value.map(|value| &value[..]);
    conn.prepare_cached(
        "INSERT INTO kv (revision, key, create_revision, sum, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        revision as i64,
        key,
        create_revision as i64,
        row_sum(key, revision, create_revision, value),
        value
    ])?;
    Ok(())
}

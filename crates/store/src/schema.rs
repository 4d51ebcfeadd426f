//! The tables, how they came to be (`MIGRATIONS`, forward only), and the one row that says where the store stands.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Result, StoreError};

/// "DROV": says the file is ours.
pub(crate) const APPLICATION_ID: i64 = 0x4452_4f56;

/// Each takes the schema from its index to the next, in one transaction. Never edited once released.
pub(crate) const MIGRATIONS: &[&str] = &[
    // A row per key and revision; value NULL is the mark of a deletion. `superseded` is the revision that replaced
    // the row; NULL while it is the newest. `sum` guards what SQLite does not: the bytes of the row.
    "CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch BLOB NOT NULL,
        revision INTEGER NOT NULL,
        compacted INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE kv (
        id INTEGER PRIMARY KEY,
        revision INTEGER NOT NULL,
        key BLOB NOT NULL,
        create_revision INTEGER NOT NULL,
        superseded INTEGER,
        sum INTEGER NOT NULL,
        value BLOB
    ) STRICT;
    CREATE UNIQUE INDEX kv_key ON kv (key, revision);
    CREATE UNIQUE INDEX kv_live ON kv (key) WHERE superseded IS NULL AND value IS NOT NULL;
    CREATE INDEX kv_revision ON kv (revision);
    CREATE INDEX kv_superseded ON kv (superseded) WHERE superseded IS NOT NULL;
    CREATE INDEX kv_deleted ON kv (revision) WHERE value IS NULL;",
];

/// Where a store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) epoch: Uuid,
    pub(crate) revision: u64,
    pub(crate) compacted: u64,
}

impl Meta {
    fn sum(&self) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.epoch.as_bytes());
        hash.update(self.revision.to_be_bytes());
        hash.update(self.compacted.to_be_bytes());
        first_eight(hash)
    }

    pub(crate) fn load(conn: &Connection) -> Result<Self> {
        let row = conn
            .prepare_cached("SELECT epoch, revision, compacted, sum FROM meta WHERE id = 1")?
            .query_row([], |row| {
                Ok((
                    row.get::<_, Vec<u8>>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            })
            .optional()?;
        let damaged = |detail: &str| StoreError::Corrupt { detail: detail.into() };
        let (epoch, revision, compacted, sum) = row.ok_or_else(|| damaged("the meta row is missing"))?;
        let epoch = Uuid::from_slice(&epoch).map_err(|_| damaged("the meta row holds no epoch"))?;
        let meta = Self { epoch, revision: revision as u64, compacted: compacted as u64 };
        if meta.sum() != sum || meta.compacted > meta.revision {
            return Err(damaged("the meta row fails its checksum"));
        }
        Ok(meta)
    }

    pub(crate) fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT INTO meta (id, epoch, revision, compacted, sum) VALUES (1, ?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET revision = ?2, compacted = ?3, sum = ?4",
        )?
        .execute(params![
            &self.epoch.as_bytes()[..],
            self.revision as i64,
            self.compacted as i64,
            self.sum()
        ])?;
        Ok(())
    }
}

/// Guards one row: SQLite notices a damaged page, not a damaged value in a sound one.
pub(crate) fn row_sum(key: &[u8], revision: u64, create_revision: u64, value: Option<&[u8]>) -> i64 {
    let mut hash = Sha256::new();
    hash.update(revision.to_be_bytes());
    hash.update(create_revision.to_be_bytes());
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    if let Some(value) = value {
        hash.update([1]);
        hash.update(value);
    }
    first_eight(hash)
}

fn first_eight(hash: Sha256) -> i64 {
    let digest = hash.finalize();
    let mut eight = [0; 8];
    eight.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(eight)
}

//! What can go wrong with an open store, and with opening one.

use std::{path::PathBuf, sync::Arc};

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The revision asked for is no longer kept.
    #[error("the revision is too old: history before revision {compacted} has been compacted")]
    Compacted {
        /// The oldest revision that can still be used.
        compacted: u64,
    },
    /// The revision asked for does not exist yet.
    #[error("revision {requested} is in the future: the store is at {current}")]
    FutureRevision {
        /// What was asked for.
        requested: u64,
        /// The newest there is.
        current: u64,
    },
    /// The watcher was closed because it did not keep up.
    #[error("the watcher fell behind by more than {capacity} events and was closed")]
    Slow {
        /// How many may wait.
        capacity: usize,
    },
    /// There is no space for the write. Nothing of it was stored; it may be tried again.
    #[error("no space left for the store; nothing was changed")]
    DiskFull,
    /// The log is at its bound, for another program keeps reading an old state of the database. Nothing of the write
    /// was stored; it may be tried again.
    #[error(
        "the store's log has {bytes} bytes and cannot start over while another program reads the database; nothing \
         was changed"
    )]
    LogStuck {
        /// How long the log is.
        bytes: u64,
    },
    /// A copy was given up: so much was written meanwhile that the log, which cannot start over before the copy is done,
    /// would soon have held writes up. It may be tried again.
    #[error(
        "the copy was given up: the store's log has {bytes} bytes and cannot start over before a copy is done; try again \
         when less is written"
    )]
    Overtaken {
        /// How long the log is.
        bytes: u64,
    },
    /// The disk failed under a write: the store reads but does not write until it is opened again. Whether the write
    /// that met the failure is stored is known only then.
    #[error("the store is read-only until restart since a write failed: {reason}")]
    Poisoned {
        /// What failed.
        reason: Arc<str>,
    },
    /// The request can never be carried out.
    #[error("invalid request: {reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
    /// What is stored fails its checksum.
    #[error("stored data is damaged: {detail}")]
    Corrupt {
        /// What is damaged.
        detail: String,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// Anything else from the backend.
    #[error("the store's backend failed")]
    Backend(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) { Self::DiskFull } else { Self::Backend(Arc::new(error)) }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{path} is in use by another server{}; stop that one first, or give this one its own data directory",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, when it could be read.
        pid: Option<u32>,
    },
    /// It was written by a later version.
    #[error(
        "{path} has schema {found}, this program knows up to {known}; nothing was changed. Run the version that wrote it, or \
         a newer one, or restore a backup of this version's with `drover restore`"
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// It is not a Drover store.
    #[error(
        "{path} is not a Drover store: {detail}; nothing was changed. Move the file away, or restore the \
         last backup into a new data directory with `drover restore`"
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// It is damaged.
    #[error(
        "{path} is damaged: {detail}; nothing was changed. Keep a copy of it and restore the last backup into a \
         new data directory with `drover restore`"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The disk is full.
    #[error("no space left to open {path}; free some and start again")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot open {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Anything else from SQLite.
    #[error("cannot open {path}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Whether SQLite ran out of space. On a full file system the shared-memory index fails to grow with an error of its
/// own before any write does.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            failure.code == rusqlite::ErrorCode::DiskFull
                || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
        }
        _ => false,
    }
}

/// Whether an error of the store is one that ends writing.
pub(crate) fn is_fatal_error(error: &StoreError) -> bool {
    match error {
        StoreError::Corrupt { .. } => true,
        StoreError::Backend(source) => source.downcast_ref::<rusqlite::Error>().is_some_and(is_fatal),
        _ => false,
    }
}

/// Whether a failed write leaves the file in doubt, so that no other may follow it.
pub(crate) fn is_fatal(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, ReadOnly, SystemIoFailure};
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            !is_full(error)
                && matches!(failure.code, SystemIoFailure | DatabaseCorrupt | NotADatabase | ReadOnly)
        }
        _ => false,
    }
}

//! Backups: one file with all that a server on a new host needs, and the data directory made of it again.
//!
//! A backup is a line that says what it is, a line of JSON ([`Header`]), the files one after another, and a last line with
//! the SHA-256 of everything before. It holds the CA's key and the administrator's token, so it is as secret as the
//! server itself.
//!
//! Absent: agents' data directories (a node's own state stays on the node), encryption, and backups on a schedule: a
//! Timer that runs `drover backup` is one.

mod format;
mod make;
mod restore;

pub use format::{Header, Part, Reading, Sink, Verified};
pub(crate) use make::place;
pub use make::{Backup, at_rest};
pub use restore::{Restored, restore};

use std::path::PathBuf;

/// Why a backup was not made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Open(#[from] drover_store::OpenError),
    /// It is something else.
    #[error("{0} is no backup of Drover's")]
    NotABackup(String),
    /// It was made by a later version.
    #[error(
        "{name} is a backup of format {found}, this program knows up to {known}; restore it with the version that made it"
    )]
    Newer {
        /// What it is called.
        name: String,
        /// The format it has.
        found: u64,
        /// The newest this program knows.
        known: u64,
    },
    /// It is cut off, or was changed.
    #[error("{name} is damaged: {why}; nothing was restored from it. Take another backup")]
    Damaged {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The place of the new data directory is taken.
    #[error(
        "{0} is not empty; a restore makes a new data directory: name one that is not there, or move this one away"
    )]
    Taken(PathBuf),
    /// The new data directory cannot be moved to its place.
    #[error("{path} cannot become the data directory; if it is a mount point, name a folder below it")]
    Place {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What went wrong with a file.
fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.into();
    |source| BackupError::File { path, source }
}

//! The errors by which a disk says that it takes nothing for now, whatever is asked of it.

use std::io::{Error, ErrorKind};

/// Whether the disk is full, or read-only: a reason to go on from memory and to try again, never one to give up.
pub(crate) fn is_unwritable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
}

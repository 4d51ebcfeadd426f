//! The desired state as it was before its file could grow by changes: one document, written whole each time. It is read
//! once, and goes when its state is in a file of today's form.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use drover_types::kinds::assignment::Assignment;
use drover_wire::PoolSettings;
use drover_world::Disk;
use serde::Deserialize;

use super::log::Head;

pub(super) const NAME: &str = "desired.json";
const MAX_BYTES: u64 = 128 << 20;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    node_uid: String,
    store_epoch: Option<String>,
    revision: Option<u64>,
    assignments: Vec<Arc<Assignment>>,
    pool: PoolSettings,
}

/// What an older version stored, if there is a file of its.
pub(super) fn read(disk: &dyn Disk, path: PathBuf) -> io::Result<Option<(Head, Vec<Arc<Assignment>>)>> {
    let bytes = match disk.read(&path, MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let stored: Stored = serde_json::from_slice(&bytes)?;
    let head = Head {
        node_uid: stored.node_uid,
        store_epoch: stored.store_epoch,
        revision: stored.revision,
        pool: stored.pool,
        ..Head::default()
    };
    Ok(Some((head, stored.assignments)))
}

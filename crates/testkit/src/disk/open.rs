//! The store of a server, on a disk.

use std::path::Path;
use std::sync::Arc;

use drover_store::{InlineStore, OpenError, Options};
use drover_world::{Disk, World, uuid_v4};

use super::SimDisk;

/// Opens the store in this directory of the disk, or makes both, as the real one does it.
pub fn open_store(disk: &SimDisk, directory: &Path, world: &World) -> Result<Arc<InlineStore>, OpenError> {
    disk.create_dir(directory, 0o700).map_err(|source| OpenError::Io { path: directory.into(), source })?;
    let entropy = world.entropy.clone();
    let options = Options { vfs: Some(disk.vfs()), ..Options::new(move || uuid_v4(&*entropy).as_u128()) };
    InlineStore::open(directory.join("store.db"), options).map(Arc::new)
}

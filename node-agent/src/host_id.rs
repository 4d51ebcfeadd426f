//! What tells this host from every other one: 128 random bits, made once and kept in the data directory. It lets a host
//! whose credential was lost on the way join again as the node that it is.

use std::io;
use std::path::Path;

use drover_wire::is_host_id;
use drover_world::{Disk, World};

pub(crate) const NAME: &str = "host-id";
const MAX_BYTES: u64 = 256;

/// The host's id; on disk when this returns.
pub(crate) fn load_or_make(disk: &dyn Disk, world: &World, data_dir: &Path) -> io::Result<String> {
    let path = data_dir.join(NAME);
    match disk.read(&path, MAX_BYTES) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            let told = "it does not hold a host id; without the file, the host gets a new one";
            if is_host_id(&text) { Ok(text) } else { Err(io::Error::new(io::ErrorKind::InvalidData, told)) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bits = [0; 16];
            world.entropy.fill(&mut bits);
            let id = format!("{:032x}", u128::from_be_bytes(bits));
            disk.write_atomic(&path, format!("{id}\n").as_bytes(), 0o600)?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

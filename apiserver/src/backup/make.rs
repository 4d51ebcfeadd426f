//! Making a backup: of a server that runs, as a stream, or of a data directory at rest.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use drover_store::{Copied, Options, copy_at_rest};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::format::{self, Header, Part};
use super::{BackupError, file};

/// The store's part.
pub(super) const STORE: &str = "store.db";
/// All that a backup may hold, in its order. The store first: it is what is large.
pub(super) const NAMES: [&str; 4] = [STORE, "ca.crt", "ca.key", "admin.token"];
/// The copy of the store, for as long as it has a name.
const COPY: &str = "backup.tmp";
/// Bytes handed on at once.
const PIECE: usize = 64 << 10;

/// Where in a data directory the copy of the store is made.
pub(crate) fn place(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join(COPY)
}

/// A backup that is ready to be read, from front to end.
#[derive(Debug)]
pub struct Backup {
    header: Header,
    hash: Sha256,
    parts: std::vec::IntoIter<(File, u64)>,
    part: Option<(File, u64)>,
    begun: bool,
    ended: bool,
}

impl Backup {
    /// Gathers the files around a copy of the store at [`place`], whose name is taken away.
    pub(crate) fn gather(data_dir: &Path, copied: &Copied, now: Timestamp) -> Result<Self, BackupError> {
        let (mut files, mut parts) = (Vec::new(), Vec::new());
        for name in NAMES {
            let path = if name == STORE { place(data_dir) } else { data_dir.join(name) };
            let opened = match File::open(&path) {
                Ok(opened) => opened,
                // A server that never started has made none.
                Err(error) if error.kind() == io::ErrorKind::NotFound && name != STORE => continue,
                Err(error) => return Err(file(path)(error)),
            };
            let bytes = opened.metadata().map_err(file(&path))?.len();
            if name == STORE {
                // Whatever becomes of this process, no copy is left.
                std::fs::remove_file(&path).map_err(file(&path))?;
            }
            files.push(Part { name: name.into(), bytes });
            parts.push((opened, bytes));
        }
        let header = Header {
            created: now,
            version: env!("CARGO_PKG_VERSION").into(),
            epoch: copied.epoch.to_string(),
            revision: copied.revision,
            schema: copied.schema,
            keys: copied.keys,
            files,
        };
        let parts = parts.into_iter();
        Ok(Self { header, hash: Sha256::new(), parts, part: None, begun: false, ended: false })
    }

    /// How long it is in all.
    pub fn length(&self) -> u64 {
        format::length(&self.header)
    }

    /// The next bytes; none at the end. Blocks while it reads.
    pub fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !std::mem::replace(&mut self.begun, true) {
            let head = format::head(&self.header);
            self.hash.update(&head);
            return Ok(Some(head));
        }
        loop {
            if self.part.is_none() {
                self.part = self.parts.next();
            }
            let Some((file, left)) = &mut self.part else {
                let end = !std::mem::replace(&mut self.ended, true);
                return Ok(end.then(|| format::trailer(self.hash.clone())));
            };
            if *left == 0 {
                self.part = None;
                continue;
            }
            let mut piece = vec![0; usize::try_from(*left).unwrap_or(PIECE).min(PIECE)];
            file.read_exact(&mut piece)?;
            *left -= piece.len() as u64;
            self.hash.update(&piece);
            return Ok(Some(piece));
        }
    }
}

/// A backup of a data directory that no server uses, piece by piece.
pub fn at_rest<E: From<BackupError>>(
    data_dir: &Path,
    options: &Options,
    now: Timestamp,
    write: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let copied = copy_at_rest(data_dir, options, &place(data_dir)).map_err(BackupError::from)?;
    let mut backup = Backup::gather(data_dir, &copied, now)?;
    while let Some(piece) = backup.next_piece().map_err(file(data_dir))? {
        write(&piece)?;
    }
    Ok(())
}

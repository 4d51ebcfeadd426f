//! A data directory made of a backup: whole and checked before it has its name, and the beginning of a new history.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use drover_store::{Copied, Options, revive};
use uuid::Uuid;

use super::format::{Reading, Verified};
use super::make::{NAMES, STORE};
use super::{BackupError, file};

/// What the name of an unfinished data directory ends with.
const UNFINISHED: &str = ".restoring";
/// Bytes read at once.
const PIECE: usize = 64 << 10;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub backup: Verified,
    /// The store made of it: its new epoch and revision.
    pub store: Copied,
}

/// Makes the data directory `data_dir` of the backup in `from`. It must not be there, or be empty. Until everything is
/// checked and on disk it has another name, so that a restore cut off at any moment leaves nothing that a server would
/// start on. `read` is told how many bytes were read.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    options: &Options,
    epoch: Uuid,
    read: &mut dyn FnMut(u64),
) -> Result<Restored, BackupError> {
    let source = File::open(from).map_err(file(from))?;
    if is_taken(data_dir)? {
        return Err(BackupError::Taken(data_dir.into()));
    }
    let draft = draft_of(data_dir);
    begin(&draft)?;
    let restored = unpack(source, from, &draft, read).and_then(|backup| {
        let store = revive(&draft, options, epoch)?;
        Ok(Restored { backup, store })
    });
    match restored.and_then(|restored| finish(&draft, data_dir).map(|()| restored)) {
        Ok(restored) => Ok(restored),
        Err(error) => {
            // What stays is refused by no one and used by no one; the next restore removes it.
            let _ = fs::remove_dir_all(&draft);
            Err(error)
        }
    }
}

fn is_taken(data_dir: &Path) -> Result<bool, BackupError> {
    match fs::read_dir(data_dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file(data_dir)(error)),
    }
}

fn draft_of(data_dir: &Path) -> PathBuf {
    // A path that ends in `/` names the same folder.
    let mut name: PathBuf = data_dir.components().collect();
    let mut last = name.file_name().unwrap_or_default().to_owned();
    last.push(UNFINISHED);
    name.set_file_name(last);
    name
}

/// An empty folder for the draft; what an earlier restore left of one is removed, and nothing else.
fn begin(draft: &Path) -> Result<(), BackupError> {
    if draft.exists() {
        for entry in fs::read_dir(draft).map_err(file(draft))? {
            let name = entry.map_err(file(draft))?.file_name();
            let name = name.to_string_lossy();
            if !NAMES.contains(&&*name) && !name.starts_with(STORE) {
                return Err(BackupError::Taken(draft.into()));
            }
        }
        fs::remove_dir_all(draft).map_err(file(draft))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(draft).map_err(file(draft))
}

fn create(path: &Path, mode: u32) -> Result<File, BackupError> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(file(path))
}

fn unpack(
    mut source: File,
    from: &Path,
    draft: &Path,
    read: &mut dyn FnMut(u64),
) -> Result<Verified, BackupError> {
    let mut reading = Reading::new(from.display().to_string());
    let mut current: Option<(PathBuf, File)> = None;
    let mut piece = vec![0; PIECE];
    loop {
        let count = source.read(&mut piece).map_err(file(from))?;
        if count == 0 {
            break;
        }
        reading.push(&piece[..count], &mut |name, begins, bytes| {
            if begins {
                synced(current.take())?;
                let path = draft.join(name);
                let created = create(&path, if name == "ca.crt" { 0o644 } else { 0o600 })?;
                current = Some((path, created));
            }
            match &mut current {
                Some((path, open)) => open.write_all(bytes).map_err(file(&*path)),
                None => Ok(()),
            }
        })?;
        read(count as u64);
    }
    synced(current)?;
    reading.finish()
}

fn synced(written: Option<(PathBuf, File)>) -> Result<(), BackupError> {
    match written {
        Some((path, written)) => written.sync_all().map_err(file(path)),
        None => Ok(()),
    }
}

/// Gives a whole draft its name.
fn finish(draft: &Path, data_dir: &Path) -> Result<(), BackupError> {
    let sync = |path: &Path| File::open(path).and_then(|opened| opened.sync_all()).map_err(file(path));
    sync(draft)?;
    fs::rename(draft, data_dir)
        .map_err(|source| BackupError::Place { path: data_dir.to_path_buf(), source })?;
    let parent = data_dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

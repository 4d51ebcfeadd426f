//! The disk as a journal sees it: whole files replaced in one step, and logs that grow at their end.
//!
//! Calls block; an async caller moves them to a blocking thread. One writer per path is assumed: the temporary
//! file of [`Disk::write_atomic`] has a fixed name, so that a crash leaves at most one behind.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Files and directories, with the durability that each call promises.
pub trait Disk: Send + Sync {
    /// The whole file. One longer than `limit` bytes is an error of kind `FileTooLarge`, and is not read.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// At most `length` bytes of the file from `at` on: fewer, or none, where it ends before.
    fn read_range(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Replaces the file: after a crash at any instant it holds the old bytes or the new ones. When this
    /// returns, the new ones have reached the disk.
    fn write_atomic(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;

    /// Opens a file to grow at its end, creating it with `mode` where it is missing. When this returns, its name has
    /// reached the disk, whoever created it.
    fn append(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>>;

    /// What the directory holds, ordered by name.
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>>;

    /// Removes a file. A missing one is fine.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all that is in it. A missing one is fine.
    fn remove_tree(&self, directory: &Path) -> io::Result<()>;

    /// Removes a directory and all that is in it, without waiting for the disk: after a crash of the host it may be
    /// there again. For what nothing refers to any more.
    fn discard_tree(&self, directory: &Path) -> io::Result<()> {
        self.remove_tree(directory)
    }

    /// Creates the directory with `mode`, its missing parents likewise. One that exists is given `mode`. When this
    /// returns, all those names have reached the disk, also where an earlier call was cut off by a crash.
    fn create_dir(&self, directory: &Path, mode: u32) -> io::Result<()>;

    /// Creates several directories, all in one parent that exists. Their names reach the disk with
    /// [`Disk::sync_names`] of the parent. After an error some may be there.
    fn create_dirs(&self, directories: &[PathBuf], mode: u32) -> io::Result<()>;

    /// Waits until every name made in the directory has reached the disk.
    fn sync_names(&self, directory: &Path) -> io::Result<()>;
}

/// A file that grows at its end.
pub trait Append: Send {
    /// Writes all bytes at the end. They survive a crash of the host only after [`Append::sync`].
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything appended has reached the disk.
    fn sync(&mut self) -> io::Result<()>;

    /// How long the file is now.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file to `len` bytes: how a reader drops a torn record at the end.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the directory.
    pub name: OsString,
    /// Whether it is a directory (a symbolic link to one is not).
    pub is_dir: bool,
    /// Size in bytes, of a file.
    pub len: u64,
}

/// The host's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a full file from a too long one, even where it grows meanwhile.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                format!("{} is longer than {limit} bytes", path.display()),
            ));
        }
        Ok(bytes)
    }

    fn read_range(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let temporary = temporary_of(path)?;
        // A leftover may have a looser mode than what is asked for now, so it is never reused.
        self.remove_only(&temporary)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        // The umask took bits away from `mode`; the caller meant what it said.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)?;
        sync_parent(path)
    }

    fn append(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        let file = match OpenOptions::new().append(true).create_new(true).mode(mode).open(path) {
            Ok(file) => {
                file.set_permissions(Permissions::from_mode(mode))?;
                file
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenOptions::new().append(true).open(path)?
            }
            Err(error) => return Err(error),
        };
        // Also for one that is there: who created it may have crashed before this.
        sync_parent(path)?;
        Ok(Box::new(RealAppend { file }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // It went between the two calls, which is as if it had gone before the first.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry { name: entry.file_name(), is_dir: metadata.is_dir(), len: metadata.len() });
        }
        entries.sort();
        Ok(entries)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.remove_only(path)? { sync_parent(path) } else { Ok(()) }
    }

    fn remove_tree(&self, directory: &Path) -> io::Result<()> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_parent(directory),
        }
    }

    fn discard_tree(&self, directory: &Path) -> io::Result<()> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn create_dir(&self, directory: &Path, mode: u32) -> io::Result<()> {
        let mut levels = vec![directory];
        let mut above = directory;
        while !above.is_dir() {
            let Some(parent) = above.parent().filter(|parent| !parent.as_os_str().is_empty()) else { break };
            levels.push(parent);
            above = parent;
        }
        // The first of them is there: who created it may have crashed before its name was durable.
        for level in levels.into_iter().rev() {
            match DirBuilder::new().mode(mode).create(level) {
                Err(_) if level.is_dir() => {}
                done => done?,
            }
            sync_parent(level)?;
        }
        // A disk that takes no writes refuses even a change to what is already so.
        if directory.metadata()?.permissions().mode() & 0o7777 == mode {
            return Ok(());
        }
        fs::set_permissions(directory, Permissions::from_mode(mode))
    }

    fn create_dirs(&self, directories: &[PathBuf], mode: u32) -> io::Result<()> {
        for directory in directories {
            match DirBuilder::new().mode(mode).create(directory) {
                Err(error) if !(error.kind() == ErrorKind::AlreadyExists && directory.is_dir()) => {
                    return Err(error);
                }
                _ => fs::set_permissions(directory, Permissions::from_mode(mode))?,
            }
        }
        Ok(())
    }

    fn sync_names(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

impl RealDisk {
    /// Whether there was something to remove.
    fn remove_only(self, path: &Path) -> io::Result<bool> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

struct RealAppend {
    file: File,
}

impl Append for RealAppend {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.sync_all()
    }
}

fn temporary_of(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidInput, format!("{} names no file", path.display()))
    })?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    Ok(path.with_file_name(temporary))
}

/// Makes a change of names in the parent directory durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        RealDisk.write_atomic(&path, b"one", 0o600).unwrap();
        RealDisk.write_atomic(&path, b"two", 0o640).unwrap();
        assert_eq!(RealDisk.read(&path, 3).unwrap(), b"two");
        assert_eq!(mode_of(&path), 0o640);
        let entries = RealDisk.list(directory.path()).unwrap();
        assert_eq!(entries, [Entry { name: "state.json".into(), is_dir: false, len: 3 }]);
    }

    #[test]
    fn a_leftover_of_a_crashed_write_is_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(directory.path().join(".secret.new"), "a longer torn leftover, readable by all").unwrap();
        RealDisk.write_atomic(&path, b"s", 0o600).unwrap();
        assert_eq!(RealDisk.read(&path, 9).unwrap(), b"s");
        assert_eq!(mode_of(&path), 0o600);
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("big");
        RealDisk.write_atomic(&path, b"1234", 0o600).unwrap();
        assert_eq!(RealDisk.read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(RealDisk.read(&directory.path().join("none"), 3).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_range_of_a_file_ends_where_the_file_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        RealDisk.write_atomic(&path, b"0123456789", 0o600).unwrap();
        let range = |at, length| RealDisk.read_range(&path, at, length).unwrap();
        assert_eq!(range(2, 3), b"234");
        assert_eq!(range(8, 100), b"89");
        assert_eq!(range(10, 1), b"");
        assert_eq!(range(99, 1), b"");
        let none = RealDisk.read_range(&directory.path().join("none"), 0, 1);
        assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_log_grows_across_openings_and_can_drop_a_torn_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut log = RealDisk.append(&path, 0o600).unwrap();
        assert!(log.is_empty().unwrap());
        log.append(b"one\n").unwrap();
        log.sync().unwrap();
        drop(log);
        let mut log = RealDisk.append(&path, 0o600).unwrap();
        log.append(b"tor").unwrap();
        assert_eq!(log.len().unwrap(), 7);
        log.truncate(4).unwrap();
        log.append(b"two\n").unwrap();
        log.sync().unwrap();
        assert_eq!(RealDisk.read(&path, 64).unwrap(), b"one\ntwo\n");
        assert_eq!(mode_of(&path), 0o600);
    }

    #[test]
    fn several_directories_are_made_at_once_and_those_that_exist_stay() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        RealDisk.create_dir(&a, 0o750).unwrap();
        RealDisk.write_atomic(&a.join("f"), b"x", 0o600).unwrap();
        RealDisk.create_dirs(&[a.clone(), b.clone()], 0o700).unwrap();
        RealDisk.sync_names(directory.path()).unwrap();
        assert_eq!((mode_of(&a), mode_of(&b)), (0o700, 0o700));
        assert_eq!(RealDisk.read(&a.join("f"), 9).unwrap(), b"x");
        fs::write(directory.path().join("c"), "a file").unwrap();
        let error = RealDisk.create_dirs(&[directory.path().join("c")], 0o700).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn directories_get_the_mode_asked_for_and_go_whole() {
        let directory = tempfile::tempdir().unwrap();
        let nested = directory.path().join("a/b");
        RealDisk.create_dir(&nested, 0o700).unwrap();
        RealDisk.create_dir(&nested, 0o750).unwrap();
        assert_eq!(mode_of(&nested), 0o750);
        RealDisk.write_atomic(&nested.join("f"), b"x", 0o600).unwrap();
        RealDisk.remove_tree(&directory.path().join("a")).unwrap();
        RealDisk.remove_tree(&directory.path().join("a")).unwrap();
        RealDisk.create_dir(&nested, 0o700).unwrap();
        RealDisk.discard_tree(&directory.path().join("a")).unwrap();
        RealDisk.discard_tree(&directory.path().join("a")).unwrap();
        RealDisk.remove(&directory.path().join("gone")).unwrap();
        assert!(RealDisk.list(directory.path()).unwrap().is_empty());
    }
}

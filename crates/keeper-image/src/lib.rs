//! The keeper program as bytes, so that `drover` is one file, and writing it to where it is started from.
//!
//! The file is named by its content: an upgrade writes a new one beside those that live keepers still run.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The program: static, stripped.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/drover-keeper"));

/// SHA-256 of [`IMAGE`], in hexadecimal.
pub const DIGEST: &str = include!(concat!(env!("OUT_DIR"), "/digest.rs"));

const MODE: u32 = 0o755;

/// Where [`install`] puts the program in a directory.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(format!("keeper-{}", &DIGEST[..16]))
}

/// Removes the programs of other versions, and drafts of installs that were cut short; how many. A keeper that lives
/// goes on: the system keeps a running program's bytes until it ends. Only for who has the directory to itself.
pub fn remove_others(dir: &Path) -> io::Result<usize> {
    let current = path(dir);
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| {
            let rest = name.strip_prefix("keeper-").or_else(|| name.strip_prefix(".keeper-"));
            rest.and_then(|rest| rest.get(..16)).is_some_and(|digits| {
                digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
        });
        if is_ours && entry.path() != current {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Makes sure that the directory (which exists) has the program, whole and executable, and returns its path.
/// Safe at any time, by several processes at once: the file appears under its name complete, or not at all.
pub fn install(dir: &Path) -> io::Result<PathBuf> {
    let path = path(dir);
    if fs::read(&path).is_ok_and(|bytes| bytes == IMAGE) {
        // A disk that takes no writes refuses even a change to what is already so.
        if fs::metadata(&path)?.permissions().mode() & 0o7777 != MODE {
            fs::set_permissions(&path, fs::Permissions::from_mode(MODE))?;
        }
        return Ok(path);
    }
    let draft = dir.join(format!(".keeper-{}-{}", &DIGEST[..16], std::process::id()));
    write_whole(&draft).and_then(|()| fs::rename(&draft, &path)).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })?;
    fs::File::open(dir)?.sync_all()?;
    Ok(path)
}

fn write_whole(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    file.write_all(IMAGE)?;
    // The mode given at creation is subject to the process's mask.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_installed_program_runs_and_a_damaged_one_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = install(dir.path()).expect("install");
        assert_eq!(
            Command::new(&path).status().expect("it runs").code(),
            Some(2),
            "the code for a missing argument"
        );
        fs::write(&path, b"damaged").expect("damage");
        assert_eq!(install(dir.path()).expect("install"), path);
        assert!(fs::read(&path).expect("read") == IMAGE, "the damaged file stayed");
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "a draft was left behind");
    }

    #[test]
    fn programs_of_other_versions_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let current = install(dir.path()).expect("install");
        for name in ["keeper-0123456789abcdef", ".keeper-0123456789abcdef-7", "keeper-of-bees", "keeper.lock"]
        {
            fs::write(dir.path().join(name), b"x").expect("write");
        }
        assert_eq!(remove_others(dir.path()).expect("remove"), 2);
        assert_eq!(remove_others(dir.path()).expect("remove"), 0);
        assert!(current.exists());
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 3);
    }

    #[test]
    fn the_program_needs_no_library() {
        // ELF program header type 3 names the loader of a dynamic program.
        let offset = u64::from_le_bytes(IMAGE[32..40].try_into().expect("a header")) as usize;
        let (size, count) =
            (u16::from_le_bytes([IMAGE[54], IMAGE[55]]), u16::from_le_bytes([IMAGE[56], IMAGE[57]]));
        for index in 0..usize::from(count) {
            let at = offset + index * usize::from(size);
            assert_ne!(IMAGE[at..at + 4], [3, 0, 0, 0], "the program asks for a loader");
        }
    }
}

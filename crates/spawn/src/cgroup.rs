//! A cgroup v2 directory per run, where the machine lets us make one: the surest way to end a whole process tree.
//!
//! No controller is used (limits come with a later kind of work), so a hybrid mount without controllers serves too.
//! Where there is no writable cgroup2, runs go without and the tree is found by other marks.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// Makes the directory of a run, below the cgroup of the calling process; none where that is not possible.
pub fn create(run_uid: &str) -> Option<PathBuf> {
    // Nobody moves an agent, and to look where it is takes longer than all the rest.
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    if !is_plain_name(run_uid) {
        return None;
    }
    let home = match HOME.get() {
        Some(home) => home,
        None => {
            let home = own_directory()?.join("drover");
            fs::create_dir_all(&home).ok()?;
            home.join("cgroup.procs").exists().then_some(())?;
            HOME.get_or_init(|| home)
        }
    };
    let dir = home.join(run_uid);
    match fs::create_dir(&dir) {
        Ok(()) => Some(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Some(dir),
        // Whoever took the home away may have taken what it was in.
        Err(_) => {
            fs::create_dir_all(&dir).ok().and_then(|()| dir.join("cgroup.procs").exists().then_some(dir))
        }
    }
}

/// Removes the directory of a run, once nothing is in it. One that is gone already is fine.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The processes in a cgroup, those of its sub-groups included.
pub(crate) fn processes(dir: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 1));
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        left.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    found
}

/// Ends everything in a cgroup at once, forks under way included. False where the kernel has no `cgroup.kill`.
pub(crate) fn kill(dir: &Path) -> bool {
    fs::write(dir.join("cgroup.kill"), "1").is_ok()
}

/// A run's uid becomes a directory name: nothing that leads elsewhere.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && !name.contains('/')
}

fn own_directory() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    locate(&mounts, &own)
}

fn locate(mountinfo: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mountinfo.lines().find_map(|line| {
        let (mount, rest) = line.split_once(" - ")?;
        if rest.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // Of a mount that shows only part of the hierarchy, our own group may be outside.
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_wherever_it_is() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let own = "3:cpu:/x\n0::/system.slice/drover.service\n";
        assert_eq!(locate(hybrid, own), Some("/sys/fs/cgroup/unified/system.slice/drover.service".into()));
        assert_eq!(locate("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", own), None);
    }

    #[test]
    fn a_uid_that_is_a_path_gets_no_directory() {
        for bad in ["", "..", ".", "a/b", "/a", "a/"] {
            assert!(create(bad).is_none(), "{bad:?}");
        }
    }
}

//! What a process no longer needs in memory: most of its own program once it has started, and what it has freed.

use std::ffi::c_void;
use std::fs;
use std::io;

use rustix::mm::{Advice, madvise};

/// Takes the pages of the running program's code and constants out of this process. They stay in the system's page
/// cache as long as there is room, and come back, a cheap fault for sixteen of them, as they are used. Of a program
/// that reads its arguments, joins a server and then mostly waits, that is all but a few.
pub fn forget_program() -> io::Result<()> {
    let program = fs::read_link("/proc/self/exe")?;
    let program = program.to_string_lossy();
    for (start, length) in ranges(&fs::read_to_string("/proc/self/smaps")?, &program) {
        // SAFETY: the range is mapped from the program's file, is not writable, and has no page of its own: what is
        // dropped is read again from the file, whose bytes cannot change while it is executed.
        unsafe { madvise(start as *mut c_void, length, Advice::LinuxDontNeed) }?;
    }
    Ok(())
}

/// Gives back to the system what the allocator keeps for later: after something large that will not come again soon.
pub fn forget_freed() {
    #[cfg(target_env = "gnu")]
    {
        mod sys {
            unsafe extern "C" {
                pub(super) fn malloc_trim(pad: usize) -> std::ffi::c_int;
            }
        }
        // SAFETY: it takes the allocator's own locks, as every allocation does.
        unsafe { sys::malloc_trim(0) };
    }
}

/// Mappings of a file that can be dropped: start and length. One with a page that is no longer the file's (the loader
/// wrote addresses into it) is none of them.
fn ranges(smaps: &str, file: &str) -> Vec<(usize, usize)> {
    let (mut found, mut current) = (Vec::new(), None);
    for line in smaps.lines() {
        if let Some(range) = header(line, file) {
            current = range;
        } else if line.strip_prefix("Anonymous:").is_some_and(|rest| rest.trim() == "0 kB") {
            found.extend(current.take());
        }
    }
    found
}

/// Whether a line begins a mapping, and which, if it is a read-only one of the file.
fn header(line: &str, file: &str) -> Option<Option<(usize, usize)>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let read_only = matches!(fields.next()?, "r-xp" | "r--p");
    let name = fields.nth(3).unwrap_or_default();
    Some((read_only && name == file).then(|| (start, end.saturating_sub(start))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55c0f5787000-55c0f5d47000 r--p 00000000 fe:00 1 /bin/x
Rss: 8 kB
Anonymous:             0 kB
55c0f5d47000-55c0f7033000 r-xp 005bf000 fe:00 1 /bin/x
Anonymous:             0 kB
55c0f7033000-55c0f7091000 r--p 018aa000 fe:00 1 /bin/x
Anonymous:           376 kB
55c0f7091000-55c0f7092000 rw-p 01908000 fe:00 1 /bin/x
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 2 /lib/libc.so
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 00:00 0
Anonymous:             0 kB
";

    #[test]
    fn only_what_the_file_still_holds_is_dropped() {
        let expected = [(0x55c0_f578_7000, 0x5c_0000), (0x55c0_f5d4_7000, 0x12e_c000)];
        assert_eq!(ranges(SMAPS, "/bin/x"), expected);
    }

    #[test]
    fn a_program_goes_on_after_it_was_forgotten() {
        static WORDS: [&str; 3] = ["read", "only", "data"];
        for _ in 0..3 {
            forget_program().expect("madvise");
            assert_eq!(WORDS.join(" ").len() + format!("{WORDS:?}").len(), 14 + 24);
        }
    }
}

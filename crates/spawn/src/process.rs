//! What names a process beyond its number: the start time that makes a reused pid visible, and the boot it ran in.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub use rustix::process::Signal;

/// A process on this boot: two processes never share both numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process number.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks between boot and the start of the process.
    pub start_ticks: u64,
}

/// The fields of `/proc/PID/stat` that place a process among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) id: ProcessId,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    pub(crate) dead: bool,
}

impl ProcessId {
    /// The calling process.
    pub fn current() -> io::Result<Self> {
        Self::of(std::process::id().cast_signed())
    }

    /// Whatever process has this number now.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(stat(pid)?.id)
    }

    /// A pidfd of exactly this process, or none when it is gone (its number may be another's by now).
    pub fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.pid > 1) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The descriptor pins whoever has the number now: only looking after opening proves who that is.
        match stat(self.pid) {
            Ok(now) if now.id == self => Ok(Some(fd)),
            Ok(_) => Ok(None),
            Err(error) if gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal to exactly this process; false when it is gone.
    pub fn signal(self, signal: Signal) -> io::Result<bool> {
        let Some(fd) = self.open()? else { return Ok(false) };
        match pidfd_send_signal(&fd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an error reading `/proc/PID/...` only says that the process ended meanwhile.
pub(crate) fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

pub(crate) fn stat(pid: i32) -> io::Result<Stat> {
    // Longer than any; its length is not known before it is read.
    let mut text = [0; 1024];
    let length = fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
    parse_stat(pid, &text[..length])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/PID/stat"))
}

fn parse_stat(pid: i32, text: &[u8]) -> Option<Stat> {
    // The command name is free text in parentheses and may itself contain any of them: fields begin after the last.
    let after = text.iter().rposition(|b| *b == b')')? + 2;
    let mut fields = std::str::from_utf8(text.get(after..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(15)?.parse().ok()?;
    Some(Stat { id: ProcessId { pid, start_ticks }, parent, session, dead: matches!(state, "Z" | "X" | "x") })
}

/// The kernel's name of this boot.
pub fn boot_id() -> io::Result<String> {
    // No process outlives its boot.
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    if let Some(known) = BOOT_ID.get() {
        return Ok(known.clone());
    }
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(BOOT_ID.get_or_init(|| read).clone())
}

/// One moment on the two clocks that matter: the calendar's, and the one that no step of the calendar moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// Nanoseconds since the Unix epoch.
    pub wall_ns: i64,
    /// Nanoseconds since boot, suspended time included.
    pub boot_ns: i64,
}

impl Clocks {
    /// Both clocks, read now. The keeper has no clock injected: it is the thing that a simulation replaces whole.
    pub fn now() -> Self {
        Self { wall_ns: read_clock(ClockId::Realtime), boot_ns: read_clock(ClockId::Boottime) }
    }
}

fn read_clock(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// The signal of a name such as `SIGTERM` or `TERM`, or of a number.
pub fn signal_named(name: &str) -> Option<Signal> {
    if let Ok(number) = name.parse::<i32>() {
        return Signal::from_named_raw(number);
    }
    let signal = match name.strip_prefix("SIG").unwrap_or(name) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "ABRT" => Signal::ABORT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "PIPE" => Signal::PIPE,
        "ALRM" => Signal::ALARM,
        "TERM" => Signal::TERM,
        "CONT" => Signal::CONT,
        "STOP" => Signal::STOP,
        "TSTP" => Signal::TSTP,
        "TTIN" => Signal::TTIN,
        "TTOU" => Signal::TTOU,
        "URG" => Signal::URG,
        "WINCH" => Signal::WINCH,
        "IO" => Signal::IO,
        "PWR" => Signal::POWER,
        _ => return None,
    };
    Some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let text = b"42 (a) b ) c) S 7 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 2";
        let stat = parse_stat(42, text).expect("a stat line");
        assert_eq!((stat.parent, stat.session, stat.id.start_ticks, stat.dead), (7, 41, 9876, false));
    }

    #[test]
    fn a_reused_pid_is_not_signalled() {
        let other = ProcessId { start_ticks: 1, ..ProcessId::current().expect("self") };
        assert!(other.open().expect("open").is_none());
        assert!(!other.signal(Signal::KILL).expect("signal"), "this test would be dead");
    }

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal_named("SIGTERM"), Some(Signal::TERM));
        assert_eq!(signal_named("USR2"), Some(Signal::USR2));
        assert_eq!(signal_named("9"), Some(Signal::KILL));
        assert_eq!(signal_named("SIGNOPE"), None);
    }
}

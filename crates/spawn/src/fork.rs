//! Two forks. That of a keeper, whose parent is the agent and not the process that forks; and that of a keeper's child,
//! which is born in its cgroup: moving a process that lives costs the kernel a grace period, ten to twenty
//! milliseconds, and stops every other fork and move of the machine meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

mod sys {
    use std::ffi::{c_int, c_long};

    /// `struct clone_args`, as far as kernel 5.7 knows it.
    #[repr(C, align(8))]
    #[derive(Default)]
    pub(super) struct CloneArguments {
        pub(super) flags: u64,
        pub(super) pidfd: u64,
        pub(super) child_tid: u64,
        pub(super) parent_tid: u64,
        pub(super) exit_signal: u64,
        pub(super) stack: u64,
        pub(super) stack_size: u64,
        pub(super) tls: u64,
        pub(super) set_tid: u64,
        pub(super) set_tid_size: u64,
        pub(super) cgroup: u64,
    }

    unsafe extern "C" {
        pub(super) fn fork() -> c_int;
        pub(super) fn syscall(number: c_long, ...) -> c_long;
        pub(super) fn _exit(code: c_int) -> !;
    }

    /// The same on every architecture.
    pub(super) const CLONE3: c_long = 435;
    #[cfg(target_arch = "x86_64")]
    pub(super) const CLONE: c_long = 56;
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) const CLONE: c_long = 220;
    pub(super) const AS_SIBLING: c_long = 0x8000;
    pub(super) const INTO_CGROUP: u64 = 0x2_0000_0000;
    pub(super) const SIGCHLD: u64 = 17;
}

/// In which of the two processes a fork returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The old one; the child's number.
    Parent(i32),
    /// The new one, and whether it is in the cgroup already.
    Child {
        /// If not, it has to move there itself.
        placed: bool,
    },
}

/// Forks, into the cgroup where the kernel can (5.7 and later).
///
/// # Safety
/// The calling process has a single thread: else a lock, the allocator's included, may be held in the child by a thread
/// that does not exist there.
pub(crate) unsafe fn fork(cgroup: Option<&Path>) -> io::Result<Side> {
    if let Some(group) = cgroup.and_then(|dir| File::open(dir).ok()) {
        let arguments = sys::CloneArguments {
            flags: sys::INTO_CGROUP,
            exit_signal: sys::SIGCHLD,
            cgroup: u64::try_from(group.as_raw_fd()).unwrap_or(0),
            ..Default::default()
        };
        // SAFETY: without CLONE_VM and a stack this is a plain fork, sound by our own contract. The C library is not
        // told of it, which matters to calls that send signals to threads: the child makes none.
        let pid = unsafe { sys::syscall(sys::CLONE3, &raw const arguments, size_of_val(&arguments)) };
        match pid {
            0 => return Ok(Side::Child { placed: true }),
            // Refused by the kernel or by a filter: the child goes there itself.
            ..0 => {}
            pid => return Ok(Side::Parent(pid as i32)),
        }
    }
    // SAFETY: sound by our own contract.
    match unsafe { sys::fork() } {
        0 => Ok(Side::Child { placed: false }),
        ..0 => Err(io::Error::last_os_error()),
        pid => Ok(Side::Parent(pid)),
    }
}

/// Forks, and makes the child one of the calling process's parent, which reaps it: 0 in the child.
///
/// # Safety
/// As of [`fork`].
pub(crate) unsafe fn fork_sibling() -> io::Result<i32> {
    // SAFETY: without CLONE_VM and a stack this is a plain fork, sound by our own contract. Of the arguments after the
    // flags, all zero, only the order differs between architectures.
    let pid = unsafe { sys::syscall(sys::CLONE, sys::AS_SIBLING, 0, 0, 0, 0) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid as i32) }
}

/// Ends the child of a fork that could not execute anything, without running what the parent has set up for its end.
pub(crate) fn leave() -> ! {
    // SAFETY: it does not return and touches nothing.
    unsafe { sys::_exit(127) }
}

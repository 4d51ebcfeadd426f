//! The keeper program's side of a start: taking orders, and forking a keeper for each.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, recv, recvmsg, send, shutdown,
};

use crate::child;
use crate::fork::fork_sibling;
use crate::process::boot_id;

/// Longer than any path that the system takes.
const MAX_WORDS: usize = 8192;
/// A starter that waits longer for an order costs more than it saves.
const IDLE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// What one keeper is to do.
#[derive(Debug)]
pub struct Order {
    /// Where the run's files are.
    pub run_dir: PathBuf,
    /// The encoded [`crate::RunSpec`].
    pub spec: File,
    /// The run's state file, locked.
    pub state: File,
    /// To the agent.
    pub line: Line,
}

/// A keeper's end of what connects it with its agent until the run has started. The agent is told of that when it closes.
#[derive(Debug)]
pub struct Line(OwnedFd);

impl Line {
    /// Waits until the agent says to go on; false when it never will. Whoever has it may ask, again and again.
    pub fn is_wanted(&self) -> bool {
        loop {
            // Not taken off, so that child and keeper both can see it.
            match recv(&self.0, &mut [0; 1], RecvFlags::PEEK) {
                Ok((count, _)) => return count > 0,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Takes orders, and forks for each. Returns in every keeper with its order; in the starter, with none, once nobody is
/// left to ask it, or nobody has for long.
pub fn take() -> io::Result<Option<Order>> {
    let socket = child::become_starter()?;
    // A keeper would ask for it, each anew.
    let _ = boot_id();
    loop {
        if poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&IDLE)) == Ok(0) {
            // What is sent from here on is refused, and what was sent just before is still here.
            shutdown(&socket, Shutdown::Read)?;
        }
        let Some(order) = receive(&socket)? else { return Ok(None) };
        // SAFETY: the program has a single thread.
        let answer = match unsafe { fork_sibling() } {
            Ok(0) => return Ok(Some(order)),
            Ok(pid) => pid,
            Err(error) => -error.raw_os_error().unwrap_or(Errno::AGAIN.raw_os_error()),
        };
        // Only the keeper has it from here on: the agent is to see when that closes it.
        drop(order);
        send(&socket, &answer.to_ne_bytes(), SendFlags::NOSIGNAL)?;
    }
}

/// None when no more will come.
fn receive(socket: &OwnedFd) -> io::Result<Option<Order>> {
    let mut words = [0; MAX_WORDS];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut words)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) if received.bytes == 0 => return Ok(None),
            Ok(received) => break received.bytes,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let mut descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    let (Some(spec), Some(state), Some(line)) = (descriptors.next(), descriptors.next(), descriptors.next())
    else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an order without its three descriptors"));
    };
    let run_dir = PathBuf::from(OsStr::from_bytes(&words[..length]));
    Ok(Some(Order { run_dir, spec: spec.into(), state: state.into(), line: Line(line) }))
}

//! The disk of one host, in memory, that can be cut off from power.
//!
//! [`SimDisk`] is a [`Disk`](drover_world::Disk) that takes the same steps as the real one, in the same order, so that
//! a crash may fall between any two of them, and the VFS that the store's SQLite runs on ([`open_store`]). What was
//! written is seen at once; what was synced survives a power cut. Of the rest, each write is kept, lost or torn on its
//! own, and each change of a name likewise: more than a file system of today would do, and no more than POSIX allows.
//! A failed sync leaves what it should have written in doubt for good, whatever a later sync says.
//!
//! Absent: links, modes, times, two processes that write one file, and damage to what was synced.

mod dir;
mod file;
mod gate;
mod handle;
mod open;
mod sim;
mod steps;
mod unsynced;
mod vfs;

pub use gate::{Counters, Crashed};
pub use open::open_store;
pub use sim::SimDisk;

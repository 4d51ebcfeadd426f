//! What the machine allows: each floor does only the unavoidable part of a row, with the same client where there is one.

pub(crate) mod disk;
pub(crate) mod fanout;
pub(crate) mod handshake;
pub(crate) mod spawn;
pub(crate) mod sqlite;

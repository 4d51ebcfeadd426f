//! Drover itself, from outside: the built binary, its processes, and requests to them.

pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod build;
pub(crate) mod objects;
pub(crate) mod server;

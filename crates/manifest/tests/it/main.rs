//! Laws of manifests as text: what is refused, where errors point, and that nothing changes on its way through.

mod decoding;
mod laws;
mod loading;
mod locating;
mod repository;

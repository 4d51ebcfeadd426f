//! Runs of the real binary.
#![allow(missing_docs, reason = "a test's name is its law")]

mod acceptance;
mod drover;
mod lint;
mod server;
mod verbs;

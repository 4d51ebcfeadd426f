//! Runs of the real binary.
#![allow(missing_docs, reason = "a test's name is its law")]

mod acceptance;
mod access;
mod apply;
mod delete;
mod describe;
mod drover;
mod follow;
mod get;
mod lint;
mod refused;
mod server;
mod serving;
mod verbs;
mod wait;

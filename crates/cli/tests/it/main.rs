//! Runs of the real binary.
#![allow(missing_docs, reason = "a test's name is its law")]

mod acceptance;
mod cluster;
mod cut_off;
mod dev;
mod drover;
mod killed;
mod lan;
mod lint;
mod server;
mod verbs;

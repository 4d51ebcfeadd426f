//! Runs of the real binary.
#![allow(missing_docs, reason = "a test's name is its law")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says why")]

mod acceptance;
mod access;
mod apply;
mod apply_sets;
mod backup;
mod bad_input;
mod cluster;
mod conflicts;
mod cut_off;
mod delete;
mod describe;
mod dev;
mod drover;
mod edits;
mod faults_node;
mod faults_server;
mod follow;
mod get;
mod killed;
mod kubectl;
mod lan;
mod lint;
mod proxy;
mod python;
mod refused;
mod secrets;
mod server;
mod serving;
mod verbs;
mod wait;

//! The agent with real keepers and processes: alone, and with a server that speaks the wire over pipes in memory.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "a test that skips says why")]

mod agent;
mod disk;
mod half_started;
mod kills;
mod leases;
mod logs;
mod lost;
mod nodes;
mod pauses;
mod pids;
mod processes;
mod restarts;
mod restored;
mod server;
mod services;
mod sessions;
mod silence;
mod thrown_away;
mod timers;
mod upgrades;

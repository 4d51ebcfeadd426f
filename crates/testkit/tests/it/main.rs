//! A handful of runs, small enough for every build. The many are run by `cargo xtask sim`.

#[cfg(feature = "mutants")]
mod bugs;
mod disk;
mod power;
mod scenario;
mod seeds;
mod starts;
mod store;

//! The machines of this crate in the hands of somebody who does anything in any order, and cron beside other readers
//! of it.

mod admission;
mod oracles;
mod placement;
mod process;
mod replicas;
mod service;
mod timer;

//! The laws of the simulated disk, and of the store on it.

mod disk;
mod power;
mod store;

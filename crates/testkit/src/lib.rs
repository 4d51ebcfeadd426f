//! A whole cluster in one thread and one seed: the real parts on simulated disks.

pub mod disk;

//! Black-box tests of the apiserver, over pipes in memory and a real store.

mod accounts;
mod agents;
mod cluster;
mod compressed;
mod events;
mod joining;
mod laws;
mod limits;
mod reading;
mod reporting;
mod scale;
mod steering;
mod streams;
mod verbs;

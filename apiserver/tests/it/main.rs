//! Black-box tests of the apiserver, over pipes in memory and a real store.

mod agents;
mod cluster;
mod joining;
mod laws;
mod limits;
mod reading;
mod reporting;
mod steering;
mod streams;
mod verbs;

//! The output of runs: which runs are meant, how they are asked for, how their lines are told apart.

mod lines;
mod output;
mod request;
mod select;
mod stream;
mod workload;

pub(crate) use request::LogQuery;
pub(crate) use stream::{Prefix, Reader, Source};
pub(crate) use workload::{Ends, Workload, newest_call};

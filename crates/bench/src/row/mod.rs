//! The rows of the table, a file each.

mod agents_growth;
mod apply;
mod cold_start;
pub(crate) mod kills;
mod list;
pub(crate) mod memory_agent;
mod memory_server;
mod objects_growth;
mod runs;
mod start;
mod timers;
pub(crate) mod watches;
mod writes;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::bench::Bench;
use crate::report::Row;

type Take = for<'a> fn(&'a Bench) -> LocalBoxFuture<'a, Result<Vec<Row>>>;

/// Every row, in the order of the table.
pub(crate) const ALL: [(&str, Take); 13] = [
    ("P1", |bench| Box::pin(writes::take(bench))),
    ("P1b", |bench| Box::pin(apply::take(bench))),
    ("P2", |bench| Box::pin(start::take(bench))),
    ("P3", |bench| Box::pin(watches::take(bench))),
    ("P4", |bench| Box::pin(kills::take(bench))),
    ("P5", |bench| Box::pin(runs::take(bench))),
    ("P6", |bench| Box::pin(timers::take(bench))),
    ("P7", |bench| Box::pin(memory_agent::take(bench))),
    ("P8", |bench| Box::pin(memory_server::take(bench))),
    ("P8b", |bench| Box::pin(list::take(bench))),
    ("P12", |bench| Box::pin(cold_start::take(bench))),
    ("P13", |bench| Box::pin(objects_growth::take(bench))),
    ("P13a", |bench| Box::pin(agents_growth::take(bench))),
];

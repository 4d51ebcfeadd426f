//! The laws of the store.

mod cache;
mod copy;
mod crash;
mod eio;
mod file;
mod full;
mod lagging;
mod log;
mod model;
mod pages;
mod slow;
mod store;
mod watches;

use std::path::Path;

use drover_store::{OpenError, Options, SqliteStore, Store, Txn, TxnOutcome};

fn options() -> Options {
    Options::new(|| 0x1234_5678_9abc_def0)
}

fn open(dir: &Path) -> SqliteStore {
    reopen(dir, options()).expect("the store opens")
}

/// Opens a store that may have been open just now: a process that another test starts holds a copy of its lock until
/// it becomes another program.
fn reopen(dir: &Path, options: Options) -> Result<SqliteStore, OpenError> {
    loop {
        match SqliteStore::open(dir, options.clone()) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            done => return done,
        }
    }
}

async fn put(store: &dyn Store, key: &str, value: &str) -> u64 {
    let txn = Txn::new().put(key.to_owned(), value.to_owned());
    match store.txn(txn).await.expect("the put is stored") {
        TxnOutcome::Committed { revision } => revision,
        conflict => panic!("a put without a guard met {conflict:?}"),
    }
}

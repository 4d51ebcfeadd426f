//! The laws of the store.

mod cache;
mod crash;
mod file;
mod model;
mod store;

use std::path::Path;

use drover_store::{Options, SqliteStore, Store, Txn, TxnOutcome};

fn options() -> Options {
    Options::new(|| 0x1234_5678_9abc_def0)
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, options()).expect("the store opens")
}

async fn put(store: &dyn Store, key: &str, value: &str) -> u64 {
    let txn = Txn::new().put(key.to_owned(), value.to_owned());
    match store.txn(txn).await.expect("the put is stored") {
        TxnOutcome::Committed { revision } => revision,
        conflict => panic!("a put without a guard met {conflict:?}"),
    }
}

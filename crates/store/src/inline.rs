//! The store without threads, for a simulation: work is done in the futures of those who ask for it, always in the same
//! order.
//!
//! What arrives in one turn of the executor is committed together, as the writer thread commits what waits for it:
//! a request joins the queue when its future is first polled, and the queue is served one turn later, or when
//! the first of those futures is dropped. The queue is as long as there are futures. Upkeep and the moving of the log
//! follow each commit at once, so a caller pays for what a thread does elsewhere.

use std::{
    collections::VecDeque,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::{
    BoxFuture, Commit, Engine, KeyValue, ListOptions, Observer, OpenError, Options, Page, Result, Status,
    Store, StoreError, StoreMetrics, Txn, TxnOutcome, Watch,
    log::{Log, Mover},
    read,
    watch::{Hub, Past},
    writer::{Request, Writer},
};

/// A store in one file, on one connection. It takes no lock: the caller sees to it that nobody else has the file.
pub struct InlineStore {
    path: PathBuf,
    desk: Arc<Desk>,
    hub: Arc<Hub>,
    metrics: Arc<StoreMetrics>,
    watch_capacity: usize,
}

impl InlineStore {
    /// Opens the database file at `path`, or makes it, and finishes the upkeep that a crash cut short. `queue` and
    /// `readers` of the options mean nothing here.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_path_buf();
        let engine = Engine::open(&path, options.clone())?;
        engine
            .leave_log()
            .map_err(|error| OpenError::Corrupt { path: path.clone(), detail: error.to_string() })?;
        let metrics = Arc::new(StoreMetrics::default());
        metrics.dropped_pages.store(engine.dropped_pages(), Relaxed);
        let hub = Arc::new(Hub::new(engine.revision(), metrics.clone()));
        let writer = Writer {
            engine,
            hub: hub.clone(),
            metrics: metrics.clone(),
            log: Log::new(Mover::Writer, metrics.clone(), options.wal_bytes),
            batch: options.batch,
            observers: Vec::new(),
            compacting: Vec::new(),
        };
        let desk = Arc::new(Desk { waiting: Mutex::default(), writer: Mutex::new(writer) });
        while desk.writer().maintain() {}
        Ok(Self { path, desk, hub, metrics, watch_capacity: options.watch_capacity })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.desk.waiting().push_back(request(answer));
        let turn = Turn(&self.desk);
        tokio::task::yield_now().await;
        drop(turn);
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// What waits, and who serves it.
struct Desk {
    waiting: Mutex<VecDeque<Request>>,
    writer: Mutex<Writer>,
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves all that waits, and what upkeep follows from it.
    fn serve(&self) {
        if self.waiting().is_empty() {
            return;
        }
        let mut writer = self.writer();
        loop {
            let first = self.waiting().pop_front();
            let idle = first.is_none();
            if let Some(first) = first {
                writer.take(first, || self.waiting().pop_front());
            }
            if !writer.maintain() && idle {
                break;
            }
        }
    }
}

impl Past for Desk {
    fn changes(
        &self,
        prefix: Bytes,
        span: (u64, u64),
        rows: usize,
    ) -> BoxFuture<'_, Result<(Vec<Commit>, u64)>> {
        async move { read::changes(&self.writer().engine.conn, &prefix, span, rows) }.boxed()
    }
}

/// One who waits for the next turn; when it has come, or is waited for no more, the queue is served.
struct Turn<'a>(&'a Desk);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.serve();
    }
}

impl Store for InlineStore {
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnOutcome>> {
        self.ask(|answer| Request::Txn(txn, answer)).boxed()
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<KeyValue>>> {
        async move { self.desk.writer().engine.get(key) }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a [u8], options: ListOptions) -> BoxFuture<'a, Result<Page>> {
        async move { self.desk.writer().engine.list(prefix, &options) }.boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a [u8], from: u64) -> BoxFuture<'a, Result<Watch>> {
        async move {
            let compacted = self.status().await?.compacted;
            if from < compacted {
                return Err(StoreError::Compacted { compacted });
            }
            let past: Arc<dyn Past> = self.desk.clone();
            let prefix = Bytes::copy_from_slice(prefix);
            self.hub.watch(prefix, from, self.watch_capacity, Arc::downgrade(&past))
        }
        .boxed()
    }

    fn compact(&self, revision: u64) -> BoxFuture<'_, Result<()>> {
        self.ask(move |answer| Request::Compact(revision, answer)).boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<Status>> {
        self.ask(Request::Status).boxed()
    }

    fn attach(&self, observer: Arc<dyn Observer>) -> BoxFuture<'_, Result<()>> {
        self.ask(|answer| Request::Attach(observer, answer)).boxed()
    }

    fn metrics(&self) -> Arc<StoreMetrics> {
        self.metrics.clone()
    }
}

impl fmt::Debug for InlineStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineStore").field("path", &self.path).finish_non_exhaustive()
    }
}

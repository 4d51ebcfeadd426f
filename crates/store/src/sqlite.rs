//! The threaded store: one writer, a few readers, one that moves the log. The threads end with the store.

use std::{
    fmt,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::{
    BoxFuture, Copied, Engine, KeyValue, ListOptions, Observer, OpenError, Options, Page, Result, Status,
    Store, StoreError, StoreMetrics, Txn, TxnOutcome, Watch,
    checkpoint::Checkpointer,
    copy,
    lock::DirLock,
    log::{Log, Mover},
    read,
    readers::Readers,
    watch::{Hub, Past},
    writer::{Request, Writer},
};

/// A store in `store.db` of a data directory, which it has for itself while it lives.
pub struct SqliteStore {
    path: PathBuf,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    readers: Option<Arc<Readers>>,
    hub: Arc<Hub>,
    metrics: Arc<StoreMetrics>,
    options: Options,
    lock: Option<Arc<DirLock>>,
    /// Threads that copy, and what ends them early.
    copies: Mutex<Vec<JoinHandle<()>>>,
    stop: Arc<AtomicBool>,
}

impl SqliteStore {
    /// Opens the store in this directory, or makes both. Blocks while it checks the file.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let path = dir.join("store.db");
        // One that is made here is for nobody else: secrets will lie in it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| OpenError::Io { path: dir.into(), source })?;
        let lock = Arc::new(DirLock::take(&dir.join("store.lock"))?);
        let engine = Engine::open(&path, options.clone())?;
        engine
            .leave_log()
            .map_err(|error| OpenError::Corrupt { path: path.clone(), detail: error.to_string() })?;
        let metrics = Arc::new(StoreMetrics::default());
        metrics.dropped_pages.store(engine.dropped_pages(), Relaxed);
        let hub = Arc::new(Hub::new(engine.revision(), metrics.clone()));
        let checkpointer = Checkpointer::start(&path, &options, metrics.clone(), lock.clone())?;
        let readers = Arc::new(Readers::start(&path, &options, &lock)?);
        let (requests, waiting) = mpsc::channel(options.queue.max(1));
        let writer = Writer {
            engine,
            hub: hub.clone(),
            metrics: metrics.clone(),
            log: Log::new(Mover::Thread(checkpointer), metrics.clone(), options.wal_bytes),
            batch: options.batch,
            observers: Vec::new(),
            compacting: Vec::new(),
        };
        let held = lock.clone();
        let run = move || {
            writer.run(waiting);
            drop(held);
        };
        let writer = std::thread::Builder::new()
            .name("store-write".into())
            .spawn(run)
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(Self {
            path,
            requests: Some(requests),
            writer: Some(writer),
            readers: Some(readers),
            hub,
            metrics,
            options,
            lock: Some(lock),
            copies: Mutex::default(),
            stop: Arc::default(),
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn readers(&self) -> Result<&Arc<Readers>> {
        self.readers.as_ref().ok_or(StoreError::Closed)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        requests.send(request(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Store for SqliteStore {
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnOutcome>> {
        self.ask(|answer| Request::Txn(txn, answer)).boxed()
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<KeyValue>>> {
        let key = Bytes::copy_from_slice(key);
        async move { self.readers()?.run(move |conn| read::get(conn, &key)).await }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a [u8], options: ListOptions) -> BoxFuture<'a, Result<Page>> {
        let prefix = Bytes::copy_from_slice(prefix);
        async move { self.readers()?.run(move |conn| read::list(conn, &prefix, &options)).await }.boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a [u8], from: u64) -> BoxFuture<'a, Result<Watch>> {
        async move {
            let compacted = self.status().await?.compacted;
            if from < compacted {
                return Err(StoreError::Compacted { compacted });
            }
            let readers: Arc<dyn Past> = self.readers()?.clone();
            self.hub.watch(
                Bytes::copy_from_slice(prefix),
                from,
                self.options.watch_capacity,
                Arc::downgrade(&readers),
            )
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

    fn copy<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<Copied>> {
        async move {
            let (answer, answered) = oneshot::channel();
            let (path, to) = (self.path.clone(), to.to_path_buf());
            let (options, stop, lock) = (self.options.clone(), self.stop.clone(), self.lock.clone());
            let run = move || {
                let _ = answer.send(copy::copy(&path, &options, &to, &stop));
                drop(lock);
            };
            let thread = std::thread::Builder::new().name("store-copy".into()).spawn(run);
            let thread = thread.map_err(|error| StoreError::Backend(Arc::new(error)))?;
            {
                let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
                copies.retain(|copy| !copy.is_finished());
                copies.push(thread);
            }
            answered.await.map_err(|_| StoreError::Closed)?
        }
        .boxed()
    }

    fn metrics(&self) -> Arc<StoreMetrics> {
        self.metrics.clone()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The last connection to close moves the log into the database, which one that only reads cannot.
        self.stop.store(true, Relaxed);
        let copies = self.copies.get_mut().unwrap_or_else(PoisonError::into_inner);
        for copy in copies.drain(..) {
            let _ = copy.join();
        }
        self.readers = None;
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

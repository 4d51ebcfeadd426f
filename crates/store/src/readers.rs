//! Threads that read, each with its own read-only connection, so that no read runs on the async runtime or waits for
//! the writer.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use bytes::Bytes;
use futures_util::FutureExt;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{
    BoxFuture, Commit, OpenError, Options, Result, StoreError, file, lock::DirLock, read, watch::Past,
};

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(crate) struct Readers {
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn start(path: &Path, options: &Options, lock: &Arc<DirLock>) -> Result<Self, OpenError> {
        let (jobs, waiting) = mpsc::channel::<Job>(options.queue.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Self { jobs: Some(jobs), threads: Vec::new() };
        for index in 0..options.readers.max(1) {
            let conn = file::connect_reader(path, options)?;
            let (waiting, lock) = (waiting.clone(), lock.clone());
            let run = move || {
                loop {
                    let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    match job {
                        Some(job) => job(&conn),
                        None => break,
                    }
                }
                drop((conn, lock));
            };
            let thread = std::thread::Builder::new()
                .name(format!("store-read-{index}"))
                .spawn(run)
                .map_err(|source| OpenError::Io { path: path.into(), source })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            if !answer.is_closed() {
                let _ = answer.send(read(conn));
            }
        });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Past for Readers {
    fn changes(
        &self,
        prefix: Bytes,
        span: (u64, u64),
        rows: usize,
    ) -> BoxFuture<'_, Result<(Vec<Commit>, u64)>> {
        self.run(move |conn| read::changes(conn, &prefix, span, rows)).boxed()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

//! The writer: takes what waits, commits it together, shows it to the observers, then answers each. On a thread of
//! its own in [`SqliteStore`](crate::SqliteStore), in its callers' in [`InlineStore`](crate::InlineStore).

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::sync::{mpsc, oneshot};

use crate::{
    ChangeKind, Engine, ListOptions, MAX_TXN_BYTES, Observer, Op, Result, StoreError, StoreMetrics, Txn,
    TxnOutcome, log::Log, metrics::count, watch::Hub,
};

/// Rows replayed to a new observer at a time.
const REPLAY_ROWS: usize = 512;

pub(crate) enum Request {
    Txn(Txn, oneshot::Sender<Result<TxnOutcome>>),
    Compact(u64, oneshot::Sender<Result<()>>),
    Attach(Arc<dyn Observer>, oneshot::Sender<Result<()>>),
    Status(oneshot::Sender<Result<crate::Status>>),
}

pub(crate) struct Writer {
    pub(crate) engine: Engine,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<StoreMetrics>,
    pub(crate) log: Log,
    pub(crate) batch: usize,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// Compactions to be answered when their space is given back.
    pub(crate) compacting: Vec<oneshot::Sender<Result<()>>>,
}

type Waiting = (Vec<Txn>, Vec<oneshot::Sender<Result<TxnOutcome>>>);

impl Writer {
    /// Serves requests until nobody can send one any more.
    pub(crate) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        // What a crash left half compacted is taken up again.
        let mut busy = true;
        loop {
            let first = if busy {
                match requests.try_recv() {
                    Ok(request) => Some(request),
                    Err(mpsc::error::TryRecvError::Empty) => None,
                    Err(mpsc::error::TryRecvError::Disconnected) => break,
                }
            } else {
                match requests.blocking_recv() {
                    Some(request) => Some(request),
                    None => break,
                }
            };
            if let Some(first) = first {
                self.take(first, || requests.try_recv().ok());
            }
            busy = self.maintain();
        }
    }

    /// Serves one request, or a batch of all transactions that wait: `next` gives what does.
    pub(crate) fn take(&mut self, first: Request, mut next: impl FnMut() -> Option<Request>) {
        let (mut txns, mut answers): Waiting = Default::default();
        let (mut taken, mut bytes) = (Some(first), 0);
        while let Some(request) = taken.take() {
            match request {
                Request::Txn(txn, answer) => {
                    bytes += weight(&txn);
                    txns.push(txn);
                    answers.push(answer);
                }
                other => {
                    self.commit((std::mem::take(&mut txns), std::mem::take(&mut answers)));
                    return self.other(other);
                }
            }
            if txns.len() < self.batch.max(1) && bytes < MAX_TXN_BYTES {
                taken = next();
            }
        }
        self.commit((txns, answers));
    }

    fn other(&mut self, request: Request) {
        match request {
            Request::Txn(txn, answer) => self.commit((vec![txn], vec![answer])),
            Request::Compact(revision, answer) => match self.engine.compact(revision) {
                Ok(()) => self.compacting.push(answer),
                Err(error) => drop(answer.send(Err(error))),
            },
            Request::Attach(observer, answer) => drop(answer.send(self.attach(observer))),
            Request::Status(answer) => drop(answer.send(Ok(self.engine.status()))),
        }
    }

    fn commit(&mut self, (txns, answers): Waiting) {
        if txns.is_empty() {
            return;
        }
        self.metrics.batch(txns.len());
        let done = self.log.room(&mut self.engine).and_then(|()| self.engine.apply(&txns));
        self.metrics.syncs.store(self.engine.syncs(), Relaxed);
        match done {
            Ok(applied) => {
                for commit in &applied.commits {
                    count(&self.metrics.commits);
                    for observer in &self.observers {
                        observer.committed(commit);
                    }
                    self.hub.publish(commit);
                }
                for (answer, outcome) in answers.into_iter().zip(applied.outcomes) {
                    match &outcome {
                        Ok(TxnOutcome::Conflict { .. }) => count(&self.metrics.conflicts),
                        Err(StoreError::DiskFull) => count(&self.metrics.disk_full),
                        _ => {}
                    }
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                match &error {
                    StoreError::DiskFull => {
                        self.metrics.disk_full.fetch_add(answers.len() as u64, Relaxed);
                    }
                    // Said once, where it happened.
                    StoreError::Poisoned { .. } => {}
                    error => tracing::error!(%error, "a commit failed"),
                }
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Brings an observer up to date from some way back, so that it can serve those who resume. Nothing is committed
    /// meanwhile: this is who would.
    fn attach(&mut self, observer: Arc<dyn Observer>) -> Result<()> {
        let status = self.engine.status();
        let base = status.revision.saturating_sub(observer.replay()).max(status.compacted);
        let options = ListOptions { revision: Some(base), ..ListOptions::default() };
        let page = self.engine.list(observer.prefix(), &options)?;
        observer.reset(page.items, base);
        let mut position = base;
        while position < status.revision {
            let (commits, reached) = self.engine.changes(&[], position, REPLAY_ROWS)?;
            for commit in &commits {
                observer.committed(commit);
            }
            position = reached;
        }
        self.observers.push(observer);
        Ok(())
    }

    /// One step of upkeep. Says whether there is more to do.
    pub(crate) fn maintain(&mut self) -> bool {
        self.log.grown(&mut self.engine);
        let done = self.engine.maintain();
        self.metrics.syncs.store(self.engine.syncs(), Relaxed);
        self.metrics.compacted.store(self.engine.compacted(), Relaxed);
        if let Some(reason) = self.engine.poisoned()
            && self.metrics.poisoned.swap(1, Relaxed) == 0
        {
            tracing::error!(%reason, "the store takes no more writes until it is opened again");
        }
        match done {
            Ok((rows, more)) => {
                self.metrics.compacted_rows.fetch_add(rows, Relaxed);
                if !more && !self.compacting.is_empty() {
                    // The file shrinks when the log that says so is moved into it.
                    let done = self.engine.checkpoint();
                    for answer in self.compacting.drain(..) {
                        let _ = answer.send(done.clone());
                    }
                }
                more
            }
            Err(error) => {
                for answer in self.compacting.drain(..) {
                    let _ = answer.send(Err(error.clone()));
                }
                // Tried again after the next commit.
                false
            }
        }
    }
}

/// However it ends, those who follow are told.
impl Drop for Writer {
    fn drop(&mut self) {
        self.hub.close();
        for observer in &self.observers {
            observer.closed();
        }
    }
}

fn weight(txn: &Txn) -> usize {
    let op = |op: &Op| match op {
        Op::Put { key, value } => key.len() + value.len(),
        Op::Delete { key } => key.len(),
    };
    txn.ops.iter().map(op).sum()
}

/// Bytes a change carries, as the ring counts them.
pub(crate) fn value_of(kind: &ChangeKind) -> &bytes::Bytes {
    match kind {
        ChangeKind::Put { value } => value,
        ChangeKind::Delete { last } => last,
    }
}

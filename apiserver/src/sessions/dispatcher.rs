//! The one follower of the store for all sessions: keeps the index, and rings just the sessions that a change
//! concerns.

use std::sync::Arc;
use std::time::Duration;

use drover_store::{Cache, ListOptions, StoreError, Watcher};
use tokio_util::sync::CancellationToken;

use super::Sessions;
use super::index::{Concerned, Index, Watched};
use crate::keys;

/// Changes of one kind that may wait here. Beyond that the index is made anew.
const QUEUE: usize = 16_384;
/// Between two tries to begin.
const PAUSE: Duration = Duration::from_millis(200);

/// One watch per kind, in the order of [`Watched::ALL`].
pub(crate) struct Watchers(Vec<(Watched, Watcher)>);

fn prefix(watched: Watched) -> String {
    keys::prefix(watched.kind(), None)
}

/// An index up to date, and watches that go on from there. It begins at the oldest revision that is still known, so
/// that the past that the cache has is in its log, also after a start of the server.
pub(crate) fn begin(cache: &Arc<Cache>) -> Result<(Index, Watchers), StoreError> {
    let mut floor = 0;
    loop {
        match begin_at(cache, floor) {
            // The floor moves with every write, so it may have moved on between two looks.
            Err(StoreError::Compacted { compacted }) if compacted > floor => floor = compacted,
            begun => return begun,
        }
    }
}

fn begin_at(cache: &Arc<Cache>, floor: u64) -> Result<(Index, Watchers), StoreError> {
    let mut index = Index::new(floor);
    let mut watchers = Vec::new();
    for watched in Watched::ALL {
        let prefix = prefix(watched);
        watchers.push((watched, cache.watch(prefix.as_bytes(), floor, QUEUE)?));
        let options = ListOptions { revision: Some(floor), ..ListOptions::default() };
        for object in cache.list(prefix.as_bytes(), &options)?.items {
            index.begin(watched, object);
        }
    }
    let mut watchers = Watchers(watchers);
    watchers.drain(&mut index, &mut Concerned::default())?;
    Ok((index, watchers))
}

impl Watchers {
    /// Takes in everything that waits, until the index is what the store was at one revision.
    fn drain(&mut self, index: &mut Index, concerned: &mut Concerned) -> Result<(), StoreError> {
        loop {
            for (watched, watcher) in &mut self.0 {
                while let Some(event) = watcher.try_next()? {
                    index.apply(*watched, &event, concerned);
                }
            }
            // A bookmark says that everything up to it was handed out. Where something waits again, there is none.
            let marks: Option<Vec<u64>> = self.0.iter().map(|(_, watcher)| watcher.bookmark()).collect();
            if let Some(revision) = marks.and_then(|marks| marks.into_iter().min()) {
                index.reached(revision);
                return Ok(());
            }
            // An ended watch has no bookmark either; the next look at it says why.
        }
    }

    /// Waits for a change, and takes it in.
    async fn next(&mut self, sessions: &Sessions, concerned: &mut Concerned) -> Result<(), StoreError> {
        let waiting = self.0.iter_mut().map(|(watched, watcher)| {
            Box::pin(async move { watcher.next().await.map(|event| (*watched, event)) })
        });
        let (first, _, _) = futures_util::future::select_all(waiting).await;
        let (watched, event) = first?;
        sessions.index().apply(watched, &event, concerned);
        Ok(())
    }
}

/// Follows the store until the server stops.
pub(crate) async fn run(sessions: Sessions, mut watchers: Watchers, stop: CancellationToken) {
    loop {
        let error = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            error = follow(&sessions, &mut watchers) => error,
        };
        if matches!(error, StoreError::Closed) {
            return;
        }
        tracing::warn!(%error, "the index of desired states is made anew");
        watchers = loop {
            match begin(&sessions.0.objects.cache) {
                Ok((index, watchers)) => {
                    // Whole at once: nobody may see what was, and take it for what is.
                    *sessions.index() = index;
                    break watchers;
                }
                Err(StoreError::Closed) => return,
                Err(error) => tracing::error!(%error, "the index of desired states cannot be made"),
            }
            tokio::time::sleep(PAUSE).await;
        };
        sessions.look_at_all();
    }
}

async fn follow(sessions: &Sessions, watchers: &mut Watchers) -> StoreError {
    loop {
        let mut concerned = Concerned::default();
        if let Err(error) = watchers.next(sessions, &mut concerned).await {
            return error;
        }
        let drained = watchers.drain(&mut sessions.index(), &mut concerned);
        sessions.tell(concerned);
        if let Err(error) = drained {
            return error;
        }
    }
}

impl Sessions {
    /// Rings the sessions concerned, and ends those of Nodes that are gone.
    fn tell(&self, concerned: Concerned) {
        for node in concerned.nodes {
            if let Some(handle) = self.0.registry.get(&node) {
                handle.bell.notify_one();
            }
        }
        for (node, uid) in concerned.gone {
            self.0.registry.end(&node, &uid, "the Node was deleted");
            let sessions = self.clone();
            self.0.tasks.spawn(async move { sessions.forget(&node, &uid).await });
        }
    }

    /// After the index was made anew: nobody knows what changed, so everybody looks.
    fn look_at_all(&self) {
        for handle in self.0.registry.all() {
            if self.index().hosts(&handle.node, &handle.uid) {
                handle.bell.notify_one();
            } else {
                handle.end("the Node was deleted");
            }
        }
    }
}

//! The sessions that stand: one per node, the newest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use drover_wire::TriggerResult;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::log_stream::{LogStream, LogWish};

/// Requests that may wait for one session.
const COMMANDS: usize = 64;

/// What others ask of a session.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run an Assignment now, and say what became of it.
    Trigger { request_id: String, assignment_uid: String, answer: oneshot::Sender<TriggerResult> },
    /// Open a stream of a run's output. Refused with a sentence.
    Log { wish: LogWish, answer: oneshot::Sender<Result<LogStream, String>> },
}

/// The rest of the server's end of a session.
#[derive(Debug)]
pub(crate) struct Handle {
    id: u64,
    pub(crate) node: String,
    pub(crate) uid: String,
    /// Rings when the node's desired state may have changed.
    pub(crate) bell: Notify,
    /// Rings when a client left a stream.
    pub(crate) abandoned: Arc<Notify>,
    pub(crate) commands: mpsc::Sender<Command>,
    /// Cancelled when the session has to end.
    pub(crate) ending: CancellationToken,
    why: OnceLock<&'static str>,
}

impl Handle {
    /// Ends the session. The first reason counts.
    pub(crate) fn end(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.ending.cancel();
    }

    /// Why it was ended.
    pub(crate) fn why(&self) -> &'static str {
        self.why.get().copied().unwrap_or("the session was ended")
    }
}

/// Why a session was not let in.
#[derive(Debug)]
pub(crate) struct Full;

/// The sessions by the name of their node. A name belongs to one live Node at a time.
#[derive(Debug)]
pub(crate) struct Registry {
    limit: usize,
    next: AtomicU64,
    sessions: Mutex<BTreeMap<String, Arc<Handle>>>,
}

impl Registry {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, next: AtomicU64::new(0), sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Handle>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a session in; an older one of the node ends.
    pub(crate) fn enter(
        &self,
        node: &str,
        uid: &str,
    ) -> Result<(Arc<Handle>, mpsc::Receiver<Command>), Full> {
        let (commands, received) = mpsc::channel(COMMANDS);
        let handle = Arc::new(Handle {
            id: self.next.fetch_add(1, Relaxed),
            node: node.to_owned(),
            uid: uid.to_owned(),
            bell: Notify::new(),
            abandoned: Arc::default(),
            commands,
            ending: CancellationToken::new(),
            why: OnceLock::new(),
        });
        let mut sessions = self.sessions();
        if sessions.len() >= self.limit && !sessions.contains_key(node) {
            return Err(Full);
        }
        if let Some(older) = sessions.insert(node.to_owned(), handle.clone()) {
            older.end("a newer session of this node took its place");
        }
        Ok((handle, received))
    }

    /// A session is over. Whether it was still the node's own.
    pub(crate) fn leave(&self, handle: &Handle) -> bool {
        let mut sessions = self.sessions();
        let own = sessions.get(&handle.node).is_some_and(|held| held.id == handle.id);
        if own {
            sessions.remove(&handle.node);
        }
        own
    }

    pub(crate) fn get(&self, node: &str) -> Option<Arc<Handle>> {
        self.sessions().get(node).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.sessions().values().cloned().collect()
    }

    /// Ends the session of a Node, if it has one.
    pub(crate) fn end(&self, node: &str, uid: &str, why: &'static str) {
        if let Some(handle) = self.get(node).filter(|handle| handle.uid == uid) {
            handle.end(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_session_takes_the_place_of_the_older() {
        let registry = Registry::new(1);
        let (older, _commands) = registry.enter("n", "u").unwrap();
        assert!(registry.enter("m", "v").is_err(), "there is room for one");
        let (newer, _commands) = registry.enter("n", "u").unwrap();
        assert!(older.ending.is_cancelled() && !newer.ending.is_cancelled());
        assert!(!registry.leave(&older), "the older one does not take the newer one along");
        registry.end("n", "another", "no");
        assert!(!newer.ending.is_cancelled());
        registry.end("n", "u", "its Node was deleted");
        assert_eq!(newer.why(), "its Node was deleted");
        assert!(registry.leave(&newer) && registry.get("n").is_none());
    }
}

//! Watches: changes from a revision on, as JSON lines over chunked HTTP or as text frames of a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use drover_store::{Event, EventKind, Object, StoreError, Watcher};
use drover_types::Status;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::keys;
use crate::list::{Filter, Scope};
use crate::objects::{Objects, store_error};
use crate::presenter::Presenter;
use crate::query::Params;

/// Events that may wait for one client: beyond that its own watch in the store fills up, and is closed.
pub(crate) const QUEUE: usize = 128;
/// How often a client that asked for them gets a bookmark.
const BOOKMARK: Duration = Duration::from_secs(60);
/// When a watch ends that set no time of its own: this plus up to as much again.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// No watch is longer.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A watch about to stream.
pub(crate) struct Stream {
    scope: Scope,
    source: Watcher,
    /// What is sent before the first change.
    initial: Vec<Arc<Object>>,
    /// The revision up to which the client has everything.
    revision: u64,
    bookmarks: bool,
    initial_end: bool,
    timeout: Duration,
    presenter: Presenter,
}

/// How a watch begins: with events, or at once with an error event.
pub(crate) enum Begun {
    Stream(Box<Stream>),
    Failed(Box<Status>),
}

pub(crate) fn error_event(status: &Status) -> Bytes {
    // A Status is made of text and numbers, so it always encodes.
    keys::line("ERROR", &serde_json::to_vec(status).unwrap_or_default())
}

/// A revision from the future is one of a store that was restored since: the client has to list again.
fn expired(error: StoreError, asked: u64) -> ApiError {
    match error {
        StoreError::Compacted { compacted } => ApiError::expired(asked, compacted),
        StoreError::Slow { .. } | StoreError::FutureRevision { .. } => {
            ApiError::new(410, "Expired", error.to_string())
        }
        other => store_error(other),
    }
}

impl Objects {
    /// Begins a watch. What cannot be begun because of its revision is told in the stream, as clients expect.
    pub(crate) fn watch(
        &self,
        scope: Scope,
        params: &Params,
        presenter: Presenter,
    ) -> Result<Begun, ApiError> {
        params.check_list()?;
        let jitter = DEFAULT_TIMEOUT.mul_f64(drover_world::unit(&*self.world.entropy));
        let timeout = params.timeout.unwrap_or(DEFAULT_TIMEOUT + jitter).min(MAX_TIMEOUT);
        let from = params.resource_version.filter(|asked| *asked > 0 && !params.send_initial_events);
        let prefix = scope.prefix.as_bytes();
        let begun = match from {
            Some(from) => self.cache.watch(prefix, from, QUEUE).map(|source| (from, Vec::new(), source)),
            None => self.cache.snapshot_and_watch(prefix, QUEUE),
        };
        let (revision, initial, source) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let error = expired(error, from.unwrap_or(0));
                return if error.code() == 410 {
                    Ok(Begun::Failed(Box::new(error.status().clone())))
                } else {
                    Err(error)
                };
            }
        };
        Ok(Begun::Stream(Box::new(Stream {
            scope,
            source,
            initial,
            revision,
            bookmarks: params.bookmarks,
            initial_end: params.send_initial_events,
            timeout,
            presenter,
        })))
    }
}

impl Stream {
    /// Sends events until the time is over, the client is gone, the server stops or the watch is too slow.
    pub(crate) async fn run(mut self, out: mpsc::Sender<Bytes>, stop: CancellationToken) {
        let end = Instant::now() + self.timeout;
        let work = async {
            for object in std::mem::take(&mut self.initial) {
                if self.scope.filter.admits(&object.bytes) {
                    let line = if self.presenter.is_plain() {
                        keys::added(&object)
                    } else {
                        self.presenter.line("ADDED", &object.bytes)
                    };
                    out.send(line).await.ok()?;
                }
            }
            if self.initial_end {
                let line = self.bookmark(self.revision, true);
                out.send(line).await.ok()?;
            }
            let mut ticks = tokio::time::interval_at(Instant::now() + BOOKMARK, BOOKMARK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    change = self.source.next() => match change {
                        Ok(change) => {
                            self.revision = change.revision;
                            if let Some(event) = told(&self.scope.filter, &change, &mut self.presenter) {
                                out.send(event).await.ok()?;
                            }
                        }
                        // The store goes with the server.
                        Err(StoreError::Closed) => return None,
                        Err(error) => {
                            let error = expired(error, self.revision);
                            out.send(error_event(error.status())).await.ok()?;
                            return None;
                        }
                    },
                    _ = ticks.tick(), if self.bookmarks => {
                        // While events wait there is no revision up to which the client has everything.
                        if let Some(revision) = self.source.bookmark() {
                            let line = self.bookmark(revision, false);
                            out.send(line).await.ok()?;
                        }
                    }
                }
            }
        };
        let finished: Option<()> = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = out.closed() => return,
            finished = work => finished,
            () = tokio::time::sleep_until(end) => Some(()),
        };
        if finished.is_some()
            && self.bookmarks
            && let Some(revision) = self.source.bookmark()
        {
            let line = self.bookmark(revision, false);
            // The client resumes from here. If it went meanwhile, nobody is to be told.
            let _ = out.send(line).await;
        }
    }

    fn bookmark(&mut self, revision: u64, initial_end: bool) -> Bytes {
        let mut object = json!({
            "kind": self.scope.kind.names().kind, "apiVersion": self.scope.kind.api_version(),
            "metadata": {"resourceVersion": revision.to_string()},
        });
        if initial_end {
            let empty = json!({
                "kind": format!("{}List", self.scope.kind.names().kind),
                "apiVersion": self.presenter.api_version(), "metadata": {}, "items": [],
            });
            object["metadata"]["annotations"] = json!({
                "k8s.io/initial-events-end": "true",
                // Clients of two years ago make their list of this.
                "kubernetes.io/initial-events-list-blueprint": BASE64_STANDARD.encode(empty.to_string()),
            });
        }
        self.presenter.line("BOOKMARK", object.to_string().as_bytes())
    }
}

/// The line for a change, if the client is to see one.
fn told(filter: &Filter, change: &Event, presenter: &mut Presenter) -> Option<Bytes> {
    let before = change.previous.as_ref().is_some_and(|previous| filter.admits(&previous.bytes));
    let after = change.kind != EventKind::Deleted && filter.admits(&change.object.bytes);
    let object = &change.object;
    let word = match (before, after) {
        (false, false) => return None,
        (false, true) => "ADDED",
        (true, true) => "MODIFIED",
        (true, false) => "DELETED",
    };
    // What every watcher without selectors is told, and most others: the cache's own bytes.
    if presenter.is_plain() && word == keys::word(change.kind) {
        return Some(object.event.clone());
    }
    if word == "DELETED" && change.kind != EventKind::Deleted {
        // It left the selection: its last state in it, at the revision at which it went.
        let last = change.previous.as_ref()?;
        return Some(presenter.line(word, &keys::at_revision(&last.bytes, change.revision)));
    }
    Some(presenter.line(word, &object.bytes))
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use drover_world::World;

    use super::*;
    use crate::negotiate::Form;
    use crate::query::Include;

    fn plain() -> Presenter {
        Presenter::new(Kind::Timer, Form::Object, Include::Metadata, &World::system().clock)
    }

    fn changed(kind: EventKind, stored: &[u8], revision: u64, previous: Option<Arc<Object>>) -> Event {
        let drover_store::Encoded { bytes, event } = keys::encoded(kind, stored, revision);
        let key = Bytes::from_static(b"/registry/drover.dev/timers/default/t");
        let object = Object { key, mod_revision: revision, create_revision: 1, bytes, event };
        Event { revision, kind, object: Arc::new(object), previous }
    }

    #[test]
    fn an_event_is_the_caches_own_bytes_for_every_watcher() {
        let scope = |selector: &str| {
            let params = Params { label_selector: selector.into(), ..Params::default() };
            Scope::new(Kind::Timer, Some("default"), &params).unwrap()
        };
        let on = br#"{"metadata":{"labels":{"on":"yes"}}}"#;
        let created = changed(EventKind::Created, on, 1, None);
        let modified = changed(EventKind::Modified, on, 2, Some(created.object.clone()));
        let off = br#"{"metadata":{"labels":{"on":"no"}}}"#;
        let left = changed(EventKind::Modified, off, 3, Some(modified.object.clone()));
        for selector in ["", "on=yes"] {
            for event in [&created, &modified] {
                let told = told(&scope(selector).filter, event, &mut plain()).unwrap();
                assert_eq!(told.as_ptr(), event.object.event.as_ptr(), "{selector:?}");
            }
        }
        let gone = told(&scope("on=yes").filter, &left, &mut plain()).unwrap();
        let expected =
            r#"{"type":"DELETED","object":{"metadata":{"resourceVersion":"3","labels":{"on":"yes"}}}}"#;
        assert_eq!(gone, format!("{expected}\n"));
    }
}

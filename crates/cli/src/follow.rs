//! A collection as it is and as it changes: listed once, then watched, and resumed whatever happens to the
//! connection. Nothing is told twice, and nothing is missed but what a later change replaced.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anyhow::Result;
use drover_client::{Backoff, Client, Error, EventKind, List, ListOptions, Watch, WatchOptions};
use drover_world::World;
use serde_json::{Value, json};

use crate::terminal;
use drover_columns::fields::{name, namespace, text};

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// A watch is ended and resumed after so long, so that a connection that died in silence is noticed.
const WATCH_FOR: Duration = Duration::from_secs(240);
/// How much longer than that the server may take to end it.
const GRACE: Duration = Duration::from_secs(15);

/// What happened to an object.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Added, Modified or Deleted.
    pub(crate) kind: EventKind,
    /// As it is now, or was last.
    pub(crate) object: Value,
}

/// Follows a collection.
pub(crate) struct Follow {
    client: Client,
    path: String,
    options: ListOptions,
    revision: String,
    watch: Option<Watch>,
    /// What was told of, by namespace and name: its version, and what identifies it.
    known: BTreeMap<(String, String), Value>,
    found: VecDeque<Seen>,
    backoff: Backoff,
}

/// How a step of a watch ended.
enum Step {
    Seen(Box<Seen>),
    Nothing,
    Relist,
    Failed(Error),
}

impl Follow {
    /// Lists what there is now, and follows from there.
    pub(crate) async fn begin(
        client: &Client,
        path: &str,
        options: ListOptions,
    ) -> Result<(Vec<Value>, Self)> {
        let list: List<Value> = client.list(path, &options).await?;
        let mut follow = Self {
            client: client.clone(),
            path: path.to_owned(),
            options,
            revision: list.metadata.resource_version,
            watch: None,
            known: BTreeMap::new(),
            found: VecDeque::new(),
            backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF, World::system().entropy),
        };
        for object in &list.items {
            follow.note(EventKind::Added, object);
        }
        Ok((list.items, follow))
    }

    /// The next change. Errors are those that trying again cannot mend. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Seen> {
        loop {
            if let Some(seen) = self.found.pop_front() {
                return Ok(seen);
            }
            match self.step().await {
                Step::Seen(seen) => {
                    self.backoff.reset();
                    self.note(seen.kind, &seen.object);
                    return Ok(*seen);
                }
                Step::Nothing => {}
                Step::Relist => match self.relist().await {
                    Ok(()) => {}
                    Err(error) => self.pause(error).await?,
                },
                Step::Failed(error) => {
                    self.watch = None;
                    self.pause(error).await?;
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => {
                let options = WatchOptions {
                    label_selector: self.options.label_selector.clone(),
                    field_selector: self.options.field_selector.clone(),
                    resource_version: Some(self.revision.clone()),
                    bookmarks: true,
                    timeout: Some(WATCH_FOR),
                };
                match self.client.watch(&self.path, &options).await {
                    Ok(watch) => none.insert(watch),
                    Err(error) if error.is_gone() => return Step::Relist,
                    Err(error) => return Step::Failed(error),
                }
            }
        };
        let event = match tokio::time::timeout(WATCH_FOR + GRACE, watch.next()).await {
            Ok(Ok(Some(event))) => event,
            Ok(Err(error)) if error.is_gone() => {
                self.watch = None;
                return Step::Relist;
            }
            Ok(Err(error)) => return Step::Failed(error),
            // The server ended it, or nothing was heard for too long: once more, from where it was.
            Ok(Ok(None)) | Err(_) => {
                self.watch = None;
                tokio::time::sleep(MIN_BACKOFF).await;
                return Step::Nothing;
            }
        };
        match event.object::<Value>() {
            Err(error) => Step::Failed(error),
            Ok(object) => {
                text(&object, "/metadata/resourceVersion").clone_into(&mut self.revision);
                match event.kind {
                    EventKind::Added | EventKind::Modified | EventKind::Deleted => {
                        Step::Seen(Box::new(Seen { kind: event.kind, object }))
                    }
                    EventKind::Bookmark | EventKind::Error => Step::Nothing,
                }
            }
        }
    }

    /// After the revision is no longer kept: what differs from what was told is found by listing.
    async fn relist(&mut self) -> Result<(), Error> {
        let list: List<Value> = self.client.list(&self.path, &self.options).await?;
        self.revision = list.metadata.resource_version;
        let mut gone = std::mem::take(&mut self.known);
        for object in list.items {
            let kind = match gone.remove(&key(&object)) {
                Some(held) if held == identity(&object) => None,
                Some(_) => Some(EventKind::Modified),
                None => Some(EventKind::Added),
            };
            self.note(EventKind::Added, &object);
            self.found.extend(kind.map(|kind| Seen { kind, object }));
        }
        let gone = gone.into_values().map(|object| Seen { kind: EventKind::Deleted, object });
        self.found.extend(gone);
        Ok(())
    }

    fn note(&mut self, kind: EventKind, object: &Value) {
        match kind {
            EventKind::Deleted => self.known.remove(&key(object)),
            _ => self.known.insert(key(object), identity(object)),
        };
    }

    async fn pause(&mut self, error: Error) -> Result<()> {
        if !error.is_transient() {
            return Err(error.into());
        }
        if self.backoff.failures() == 0 {
            terminal::tell(&format!(
                "the connection was lost, and is tried again: {:#}",
                anyhow::Error::from(error)
            ));
        }
        let delay = self.backoff.next_delay();
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

fn key(object: &Value) -> (String, String) {
    (namespace(object).to_owned(), name(object).to_owned())
}

/// All that is kept of an object that was told of.
fn identity(object: &Value) -> Value {
    let mut metadata = json!({});
    for member in ["name", "namespace", "uid", "resourceVersion"] {
        if let Some(held) = object["metadata"].get(member) {
            metadata[member] = held.clone();
        }
    }
    json!({ "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata })
}

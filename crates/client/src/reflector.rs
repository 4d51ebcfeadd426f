//! A local copy of a collection that follows the server: list once, watch from there, resume after a cut.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use drover_mutants::{Mutant, active};
use drover_world::unit;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::client::{Client, List, ListOptions};
use crate::error::Error;
use crate::watch::{EventKind, WatchEvent, WatchOptions};

const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A watch is ended and resumed after this to twice this, so that a connection that died in silence is noticed.
const WATCH_FOR: Duration = Duration::from_secs(240);
/// How much longer than that the server may take to end it.
const WATCH_GRACE: Duration = Duration::from_secs(15);
/// A watch that lasted so long was a good one, also if nothing happened.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// Names an object of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace; empty for a kind without.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What happened to an object, for a handler.
#[derive(Debug)]
pub struct Change<'a, T> {
    /// Which object.
    pub key: &'a Key,
    /// How it was; none if it is new.
    pub old: Option<&'a Arc<T>>,
    /// How it is; none if it is gone.
    pub new: Option<&'a Arc<T>>,
}

type Handler<T> = Box<dyn Fn(&Change<'_, T>) + Send + Sync>;

/// What to follow.
pub struct ReflectorOptions<T> {
    /// By labels.
    pub label_selector: Option<String>,
    /// By fields.
    pub field_selector: Option<String>,
    /// Called for each change, after the copy has it, in order. It must not block.
    pub handler: Option<Handler<T>>,
}

/// A local copy of a collection. Clones share it; it stops following when the last one is dropped.
pub struct Reflector<T> {
    store: Arc<Store<T>>,
    _task: Arc<AbortOnDrop>,
}

struct Store<T> {
    objects: RwLock<BTreeMap<Key, Held<T>>>,
    bell: watch::Sender<u64>,
    synced: watch::Sender<bool>,
    handler: Option<Handler<T>>,
}

struct Held<T> {
    resource_version: String,
    object: Arc<T>,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Reflector<T> {
    /// Begins to follow the collection at `path`.
    pub fn start(client: Client, path: &str, options: ReflectorOptions<T>) -> Self {
        let store = Arc::new(Store {
            objects: RwLock::default(),
            bell: watch::Sender::new(0),
            synced: watch::Sender::new(false),
            handler: options.handler,
        });
        let follower = Follower {
            backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF, client.entropy()),
            client,
            path: path.to_owned(),
            label_selector: options.label_selector,
            field_selector: options.field_selector,
            store: Arc::clone(&store),
        };
        let task = tokio::spawn(follower.run());
        Self { store, _task: Arc::new(AbortOnDrop(task.abort_handle())) }
    }
}

impl<T> Reflector<T> {
    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        self.store.read().get(key).map(|held| Arc::clone(&held.object))
    }

    /// All objects, ordered by key. Copies pointers only.
    pub fn list(&self) -> Vec<(Key, Arc<T>)> {
        self.store.read().iter().map(|(key, held)| (key.clone(), Arc::clone(&held.object))).collect()
    }

    /// Looks at each object in order of key, without a copy. The copy stands still meanwhile, so be quick.
    pub fn for_each(&self, mut look: impl FnMut(&Key, &Arc<T>)) {
        for (key, held) in self.store.read().iter() {
            look(key, &held.object);
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.store.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the first list is in.
    pub async fn synced(&self) {
        let mut synced = self.store.synced.subscribe();
        // The sender is in the store, which is held here.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    /// Whether the first list is in.
    pub fn is_synced(&self) -> bool {
        *self.store.synced.borrow()
    }

    /// Rings at each change; a listener that is late hears one ring for many.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.store.bell.subscribe()
    }
}

impl<T> Store<T> {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Key, Held<T>>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Key, Held<T>>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, key: &Key, held: Option<Held<T>>) {
        let new = held.as_ref().map(|held| Arc::clone(&held.object));
        let old = {
            let mut objects = self.write();
            match held {
                Some(held) => objects.insert(key.clone(), held),
                None => objects.remove(key),
            }
        };
        if old.is_none() && new.is_none() {
            return;
        }
        if let Some(handler) = &self.handler {
            handler(&Change { key, old: old.as_ref().map(|held| &held.object), new: new.as_ref() });
        }
        self.bell.send_modify(|count| *count += 1);
    }
}

struct Follower<T> {
    client: Client,
    path: String,
    label_selector: Option<String>,
    field_selector: Option<String>,
    store: Arc<Store<T>>,
    backoff: Backoff,
}

/// Why a watch is over.
enum Over {
    /// Go on where it ended.
    Resume,
    /// The revision is no longer kept.
    Relist,
    /// Go on where it ended, after a while.
    Failed(Error),
}

impl<T: DeserializeOwned + Send + Sync> Follower<T> {
    async fn run(mut self) {
        loop {
            let mut revision = match self.list().await {
                Ok(revision) => revision,
                Err(error) => {
                    self.wait(&error).await;
                    continue;
                }
            };
            loop {
                match self.watch(&mut revision).await {
                    Over::Resume => {}
                    Over::Relist => {
                        // A server that lists a revision it then refuses to watch must not be hammered.
                        if self.backoff.failures() > 0 {
                            tokio::time::sleep(self.backoff.next_delay()).await;
                        } else {
                            self.backoff.next_delay();
                        }
                        break;
                    }
                    Over::Failed(error) => self.wait(&error).await,
                }
            }
        }
    }

    async fn wait(&mut self, error: &Error) {
        let delay = self.backoff.next_delay().max(error.retry_after().unwrap_or_default().min(MAX_BACKOFF));
        tracing::debug!(
            path = self.path,
            error = error as &dyn std::error::Error,
            ?delay,
            "a reflector waits"
        );
        tokio::time::sleep(delay).await;
    }

    /// Makes the copy as the server's list is, and returns that list's revision.
    async fn list(&mut self) -> Result<String, Error> {
        let options = ListOptions {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            limit: None,
        };
        let list: List<Box<RawValue>> = self.client.list(&self.path, &options).await?;
        // Keys of what is gone: all at first.
        let mut gone: BTreeMap<Key, ()> = self.store.read().keys().map(|key| (key.clone(), ())).collect();
        for raw in &list.items {
            let Some((key, resource_version)) = self.identify(raw) else { continue };
            gone.remove(&key);
            self.apply(&key, resource_version, raw);
        }
        for key in gone.keys() {
            self.store.set(key, None);
        }
        self.store.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
        Ok(list.metadata.resource_version)
    }

    async fn watch(&mut self, revision: &mut String) -> Over {
        let timeout = WATCH_FOR.mul_f64(1.0 + unit(&*self.client.entropy()));
        let options = WatchOptions {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            resource_version: Some(revision.clone()),
            bookmarks: true,
            timeout: Some(timeout),
        };
        let ending = |error: Error| match error {
            // To resume would meet the same event again.
            Error::Decode(_) | Error::TooLarge { .. } => {
                tracing::warn!(
                    path = self.path,
                    error = &error as &dyn std::error::Error,
                    "an event cannot be read"
                );
                Over::Relist
            }
            error if error.is_gone() => Over::Relist,
            error => Over::Failed(error),
        };
        let mut watch = match self.client.watch(&self.path, &options).await {
            Ok(watch) => watch,
            Err(error) => return ending(error),
        };
        let began = Instant::now();
        let end = began + timeout + WATCH_GRACE;
        loop {
            let event = tokio::select! {
                biased;
                event = watch.next() => event,
                () = tokio::time::sleep_until(end) => return Over::Resume,
            };
            if matches!(event, Ok(Some(_))) || began.elapsed() >= HEALTHY_AFTER {
                self.backoff.reset();
            }
            match event {
                Ok(Some(event)) => self.follow(&event, revision),
                Ok(None) if began.elapsed() >= HEALTHY_AFTER => return Over::Resume,
                // It ended soon: a server that is going down, or something in between.
                Ok(None) => {
                    tokio::time::sleep(self.backoff.next_delay()).await;
                    return Over::Resume;
                }
                Err(error) => return ending(error),
            }
        }
    }

    fn follow(&self, event: &WatchEvent, revision: &mut String) {
        let Ok(meta) = event.object::<Identified>() else {
            tracing::warn!(path = self.path, "an event without metadata was skipped");
            return;
        };
        let meta = meta.metadata;
        let key = Key { namespace: meta.namespace, name: meta.name };
        match event.kind {
            EventKind::Added | EventKind::Modified => {
                self.apply(&key, meta.resource_version.clone(), &event.object);
            }
            EventKind::Deleted if active(Mutant::IgnoredDeletion) => {}
            EventKind::Deleted => self.store.set(&key, None),
            EventKind::Bookmark | EventKind::Error => {}
        }
        if !meta.resource_version.is_empty() {
            *revision = meta.resource_version;
        }
    }

    fn identify(&self, raw: &RawValue) -> Option<(Key, String)> {
        match serde_json::from_str::<Identified>(raw.get()) {
            Ok(Identified { metadata: Meta { name, namespace, resource_version } }) => {
                Some((Key { namespace, name }, resource_version))
            }
            Err(error) => {
                tracing::warn!(path = self.path, %error, "an object without metadata was skipped");
                None
            }
        }
    }

    fn apply(&self, key: &Key, resource_version: String, raw: &RawValue) {
        let same = |held: &Held<T>| !resource_version.is_empty() && held.resource_version == resource_version;
        if self.store.read().get(key).is_some_and(same) {
            return;
        }
        match serde_json::from_str(raw.get()) {
            Ok(object) => self.store.set(key, Some(Held { resource_version, object: Arc::new(object) })),
            // What was last understood stays: to act as if the object were gone would be worse.
            Err(error) => {
                tracing::warn!(path = self.path, %key, %error, "an object cannot be read and was skipped")
            }
        }
    }
}

#[derive(Deserialize)]
struct Identified {
    metadata: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Meta {
    name: String,
    namespace: String,
    resource_version: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl<T> Clone for Reflector<T> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), _task: Arc::clone(&self._task) }
    }
}

impl<T> Default for ReflectorOptions<T> {
    fn default() -> Self {
        Self { label_selector: None, field_selector: None, handler: None }
    }
}

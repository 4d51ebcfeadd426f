//! One object to the server: what is there, what there should be, and the write between the two.

use drover_client::{Client, Error, Query};
use drover_types::{Kind, Scope};
use serde_json::{Value, json};

use crate::connect::{Connection, collection_path, object_path};
use crate::manifests::Manifest;

/// How often a write is tried again after another client's came between.
const ATTEMPTS: usize = 5;

/// How far a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing is sent.
    Guess,
    /// The server does all but keep it.
    Try,
    /// It is kept.
    Keep,
}

/// What became of one object.
#[derive(Debug)]
pub(super) struct Done {
    /// `created`, `configured` or `unchanged`.
    pub(super) word: &'static str,
    /// As it is now.
    pub(super) object: Value,
    /// As it was before; none if it was not there.
    pub(super) live: Option<Value>,
}

/// Sends objects.
pub(super) struct Sending<'a> {
    client: &'a Client,
    namespace: &'a str,
    word: Word,
}

impl<'a> Sending<'a> {
    /// Through a connection; manifests that name no namespace mean its own.
    pub(super) fn new(connection: &'a Connection, word: Word) -> Self {
        Self { client: &connection.client, namespace: &connection.namespace, word }
    }

    /// Brings one object to the server, and says what that changed. `tried` saves a look at what is there.
    pub(super) async fn send(&self, manifest: &Manifest, tried: Option<Done>) -> Result<Done, Error> {
        let mut live = tried.map(|done| done.live);
        let mut attempt = 1;
        loop {
            match self.once(manifest, live.take()).await {
                // Another client changed it, made it or deleted it since it was looked at.
                Err(error) if attempt < ATTEMPTS && (error.is_conflict() || error.is_already_exists()) => {
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn once(&self, manifest: &Manifest, live: Option<Option<Value>>) -> Result<Done, Error> {
        let kind = manifest.kind;
        let namespace = manifest.document.namespace.as_deref().unwrap_or(self.namespace);
        let mut body = manifest.document.value.clone();
        if kind.names().scope == Scope::Namespaced {
            body["metadata"]["namespace"] = json!(namespace);
        }
        let path = object_path(kind, namespace, &manifest.document.name);
        let live = match live {
            Some(known) => known,
            None => self.look(&path).await?,
        };
        let Some(live) = live else {
            let object = match self.word {
                Word::Guess => body,
                Word::Try | Word::Keep => {
                    let collection = self.query(&collection_path(kind, Some(namespace)));
                    self.client.create(&collection, &body).await?
                }
            };
            return Ok(Done { word: "created", object, live: None });
        };
        keep_what_others_hold(kind, &live, &mut body);
        let object = match self.word {
            Word::Guess => guess(kind, &live, &body, &manifest.value),
            Word::Try | Word::Keep => self.client.replace(&self.query(&path), &body).await?,
        };
        let word = if object == live { "unchanged" } else { "configured" };
        Ok(Done { word, object, live: Some(live) })
    }

    async fn look(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.client.get(path).await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn query(&self, path: &str) -> String {
        let dry_run = (self.word == Word::Try).then_some("All");
        Query::new(path)
            .with("fieldManager", "drover")
            .with("fieldValidation", "Strict")
            .with_some("dryRun", dry_run)
            .into_path()
    }
}

/// What others hold on to stays: a manifest that is silent about it does not take it away.
fn keep_what_others_hold(kind: Kind, live: &Value, body: &mut Value) {
    for kept in ["resourceVersion", "finalizers", "ownerReferences"] {
        if body["metadata"].get(kept).is_none() && live["metadata"].get(kept).is_some() {
            body["metadata"][kept] = live["metadata"][kept].clone();
        }
    }
    if kind == Kind::Node {
        keep_own_labels(live, body);
    }
    if kind == Kind::Namespace && body.pointer("/spec/finalizers").is_none() && live.get("spec").is_some() {
        body["spec"] = live["spec"].clone();
    }
}

/// Labels of a Node that Drover sets say what the host is; only a manifest that names one changes it.
fn keep_own_labels(live: &Value, body: &mut Value) {
    let Some(held) = live.pointer("/metadata/labels").and_then(Value::as_object) else { return };
    for (key, value) in held {
        let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
        let own = prefix == "drover.dev" || prefix == "kubernetes.io" || prefix.ends_with(".kubernetes.io");
        if own && body["metadata"]["labels"].get(key).is_none() {
            body["metadata"]["labels"][key] = value.clone();
        }
    }
}

/// What the server would make of it, as far as that is known here.
fn guess(kind: Kind, live: &Value, body: &Value, admitted: &Value) -> Value {
    let mut next = admitted.clone();
    let mut metadata = live["metadata"].clone();
    for member in ["labels", "annotations", "finalizers", "ownerReferences"] {
        metadata[member] = body["metadata"].get(member).cloned().unwrap_or_default();
    }
    if let Some(members) = metadata.as_object_mut() {
        members.retain(|_, value| !value.is_null() && value != &json!({}) && value != &json!([]));
    }
    next["metadata"] = metadata;
    for kept in ["status", "spec"] {
        let of_namespace = kind == Kind::Namespace || kept == "status";
        if let Some(held) = live.get(kept).filter(|_| of_namespace) {
            next[kept] = held.clone();
        }
    }
    next
}

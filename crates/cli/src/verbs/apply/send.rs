//! One object to the server: what is there, what there should be, and the write between the two.

use std::collections::{BTreeMap, BTreeSet};

use drover_client::{Client, Error, List, ListOptions, Query};
use drover_types::{Kind, Scope};
use serde_json::{Value, json};

use crate::connect::{Connection, collection_path, object_path};
use crate::manifests::Manifest;

/// From so many objects of a kind and namespace on, a list costs less than asking for each.
const MANY: usize = 16;
/// A collection so many times as large as what is asked for is not read to its end.
const SPARSE: usize = 4;
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
    /// What is known to be there, or not, by path.
    known: BTreeMap<String, Option<Value>>,
}

impl<'a> Sending<'a> {
    /// Through a connection; manifests that name no namespace mean its own.
    pub(super) fn new(connection: &'a Connection, word: Word) -> Self {
        Self { client: &connection.client, namespace: &connection.namespace, word, known: BTreeMap::new() }
    }

    /// Looks at what is there, with one list where many objects of a kind and namespace are asked for.
    pub(super) async fn look_ahead(&mut self, manifests: &[Manifest]) -> Result<(), Error> {
        let mut wanted: BTreeMap<(String, Kind, &str), BTreeSet<&str>> = BTreeMap::new();
        for manifest in manifests {
            let namespace = self.namespace_of(manifest);
            let path = collection_path(manifest.kind, Some(namespace));
            let names = wanted.entry((path, manifest.kind, namespace)).or_default();
            names.insert(&manifest.document.name);
        }
        let mut known = BTreeMap::new();
        for ((collection, kind, namespace), names) in
            wanted.into_iter().filter(|(_, names)| names.len() >= MANY)
        {
            let found = match self.find_in(&collection, &names).await {
                Ok(found) => found,
                // The namespace is not there; whether it is about to be made is the check's business.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            known.extend(found.into_iter().map(|(name, live)| (object_path(kind, namespace, &name), live)));
        }
        self.known = known;
        Ok(())
    }

    /// Which of these names are in a collection. In one that is far larger than what is asked for, it is not known of
    /// all of them.
    async fn find_in(
        &self,
        collection: &str,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Option<Value>>, Error> {
        let (mut found, mut read) = (BTreeMap::new(), 0);
        let mut next: Option<String> = None;
        loop {
            let page: List<Value> =
                self.client.list_page(collection, &ListOptions::default(), next.as_deref()).await?;
            read += page.items.len();
            for live in page.items {
                let name = live.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                if names.contains(name) {
                    found.insert(name.to_owned(), Some(live));
                }
            }
            if page.metadata.continue_token.is_empty() {
                for name in names {
                    found.entry((*name).to_owned()).or_insert(None);
                }
                return Ok(found);
            }
            if read > SPARSE * names.len() {
                return Ok(found);
            }
            next = Some(page.metadata.continue_token);
        }
    }

    fn namespace_of<'m>(&self, manifest: &'m Manifest) -> &'m str
    where
        'a: 'm,
    {
        manifest.document.namespace.as_deref().unwrap_or(self.namespace)
    }

    /// Brings one object to the server, and says what that changed. `tried` saves a look at what is there.
    pub(super) async fn send(&self, manifest: &Manifest, tried: Option<Done>) -> Result<Done, Error> {
        let mut live = tried.map(|done| done.live);
        if live.is_none() {
            let path = object_path(manifest.kind, self.namespace_of(manifest), &manifest.document.name);
            live = self.known.get(&path).cloned();
        }
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
        let namespace = self.namespace_of(manifest);
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
        let names_a_version = body["metadata"].get("resourceVersion").is_some();
        keep_what_others_hold(kind, &live, &mut body);
        let guessed = guess(kind, &live, &body, &manifest.value);
        // What is there is what is asked for, with every default filled in: no write would change it. One that names a
        // version has the server compare it.
        if guessed == live && !names_a_version {
            return Ok(Done { word: "unchanged", object: guessed, live: Some(live) });
        }
        let object = match self.word {
            Word::Guess => guessed,
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

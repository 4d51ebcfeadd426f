//! One object to the server: what is there, what there should be, and the apply between the two.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use drover_apiserver::{ApiError as Refusal, Preview};
use drover_client::{ApiError, Client, Error, List, ListOptions, PatchKind, Query, Request, Status};
use drover_types::{Kind, Scope};
use drover_world::World;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::apply_set::PART_OF;
use crate::connect::{Connection, collection_path, object_path};
use crate::manifests::Manifest;

/// From so many objects of a kind and namespace on, a list costs less than asking for each.
const MANY: usize = 16;
/// A collection so many times as large as what is asked for is not read to its end.
const SPARSE: usize = 4;

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

/// Who applies.
#[derive(Clone, Copy, Debug)]
pub(super) struct As<'a> {
    /// The field manager.
    pub(super) manager: &'a str,
    /// Whether fields are taken from others.
    pub(super) force: bool,
    /// The id of the apply set that everything belongs to.
    pub(super) set: Option<&'a str>,
}

/// What became of one object.
#[derive(Debug)]
pub(in crate::verbs) struct Done {
    /// `created`, `configured` or `unchanged`.
    pub(in crate::verbs) word: &'static str,
    /// As it is now.
    pub(in crate::verbs) object: Value,
    /// As it was before; none if it was not there.
    pub(in crate::verbs) live: Option<Value>,
}

impl Done {
    /// One that is not there yet, as its manifest says.
    pub(super) fn created(manifest: &Manifest) -> Self {
        Self { word: "created", object: manifest.value.clone(), live: None }
    }
}

/// Sends objects.
pub(super) struct Sending<'a> {
    client: &'a Client,
    namespace: &'a str,
    applier: As<'a>,
    word: Word,
    /// What is known to be there, or not, by path.
    known: BTreeMap<String, Option<Value>>,
    world: World,
}

impl<'a> Sending<'a> {
    /// Through a connection; manifests that name no namespace mean its own.
    pub(super) fn new(connection: &'a Connection, applier: As<'a>, word: Word) -> Self {
        let (client, namespace) = (&connection.client, connection.namespace.as_str());
        Self { client, namespace, applier, word, known: BTreeMap::new(), world: World::system() }
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

    pub(super) fn namespace_of<'m>(&self, manifest: &'m Manifest) -> &'m str
    where
        'a: 'm,
    {
        manifest.document.namespace.as_deref().unwrap_or(self.namespace)
    }

    /// Brings one object to the server, and says what that changed. `tried` saves a look at what is there.
    pub(super) async fn send(&self, manifest: &Manifest, tried: Option<Done>) -> Result<Done, Error> {
        let (kind, namespace) = (manifest.kind, self.namespace_of(manifest));
        let path = object_path(kind, namespace, &manifest.document.name);
        let live = match tried.map(|done| done.live).or_else(|| self.known.get(&path).cloned()) {
            Some(known) => known,
            None => self.look(&path).await?,
        };
        let config = config(manifest, namespace, self.applier.set);
        let guessed = match &live {
            Some(live) => {
                let namespaced = kind.names().scope == Scope::Namespaced;
                let preview = Preview {
                    kind,
                    namespace: namespaced.then_some(namespace),
                    name: &manifest.document.name,
                    manager: self.applier.manager,
                    force: self.applier.force,
                    now: self.world.clock.now(),
                };
                Some(preview.of(live, config.clone()))
            }
            None => None,
        };
        match (guessed, self.word) {
            // Nothing would be written: no request is needed to know that.
            (Some(Ok(guessed)), _) if live.as_ref() == Some(&guessed) => {
                Ok(Done { word: "unchanged", object: guessed, live })
            }
            (Some(Ok(guessed)), Word::Guess) => Ok(Done { word: "configured", object: guessed, live }),
            (Some(Err(refusal)), Word::Guess) => Err(as_answered(&refusal)),
            (None, Word::Guess) => Ok(Done { word: "created", object: config, live: None }),
            // Of a refusal, the server's own word counts: the object may have changed.
            (_, Word::Try | Word::Keep) => self.apply(&path, &config, live).await,
        }
    }

    async fn apply(&self, path: &str, config: &Value, live: Option<Value>) -> Result<Done, Error> {
        let dry_run = (self.word == Word::Try).then_some("All");
        let query = Query::new(path)
            .with("fieldManager", self.applier.manager)
            .with("fieldValidation", "Strict")
            .with("force", if self.applier.force { "true" } else { "false" })
            .with_some("dryRun", dry_run);
        let mut request = Request::new(Method::PATCH, &query.into_path());
        let type_ = HeaderValue::from_static(PatchKind::Apply.content_type());
        request.headers.insert(header::CONTENT_TYPE, type_);
        request.body = config.to_string().into();
        let answer = self.client.send(request).await?;
        let object: Value = serde_json::from_slice(&answer.body).map_err(Error::Decode)?;
        let revision = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        let word = match &live {
            _ if answer.status == StatusCode::CREATED => "created",
            // A try has the revision of what it was tried on.
            Some(live) if self.word == Word::Try && object == *live => "unchanged",
            Some(live) if self.word == Word::Keep && revision(&object) == revision(live) => "unchanged",
            _ => "configured",
        };
        Ok(Done { word, object, live })
    }

    async fn look(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.client.get(path).await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What is applied of a manifest.
fn config(manifest: &Manifest, namespace: &str, set: Option<&str>) -> Value {
    let mut config = manifest.document.value.clone();
    if manifest.kind.names().scope == Scope::Namespaced {
        config["metadata"]["namespace"] = json!(namespace);
    }
    if manifest.kind == Kind::Secret {
        fold_text(&mut config);
    }
    if let Some(id) = set {
        config["metadata"]["labels"][PART_OF] = json!(id);
    }
    config
}

/// Text of a Secret as it is stored: what is owned is a key of `data`, so that one which its manifest drops goes.
fn fold_text(config: &mut Value) {
    let Some(Value::Object(text)) = config.as_object_mut().and_then(|members| members.remove("stringData"))
    else {
        return;
    };
    for (key, value) in text {
        if let Some(value) = value.as_str() {
            config["data"][key] = BASE64_STANDARD.encode(value).into();
        }
    }
}

/// A refusal that was found here, as the server would have answered it.
fn as_answered(refusal: &Refusal) -> Error {
    let status = serde_json::to_value(refusal.status()).and_then(serde_json::from_value);
    let status = status.unwrap_or_else(|_| Status {
        code: refusal.code(),
        message: refusal.to_string(),
        ..Status::default()
    });
    Error::Api(Box::new(ApiError { status, retry_after: None }))
}

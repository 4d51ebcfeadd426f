//! An apply set (KEP-3659): a Secret or ConfigMap that says which objects are applied together, so that what leaves the
//! set can be found. The labels and annotations are those that kubectl reads and writes.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use drover_client::{PatchKind, Query};
use drover_types::Kind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::connect::{Connection, object_path};
use crate::failure::usage;
use crate::resources::{kind, shown};

/// The label of members.
pub(super) const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// The label of the set itself.
pub(super) const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// What kubectl 1.27 writes instead.
const RESOURCES: &str = "applyset.kubernetes.io/contains-group-resources";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";

const TOOL: &str = "drover";
const MANAGER: &str = "drover-applyset";

/// What is in a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Kinds of which there are members.
    pub(super) kinds: BTreeSet<Kind>,
    /// Namespaces with members, save the set's own.
    pub(super) namespaces: BTreeSet<String>,
}

/// A set, and what the server says is in it.
#[derive(Debug)]
pub(super) struct ApplySet {
    kind: Kind,
    name: String,
    /// Its own namespace.
    pub(super) namespace: String,
    /// What its members are labelled with.
    pub(super) id: String,
    /// What is in it so far.
    pub(super) held: Contents,
    is_there: bool,
}

/// `drover/v0.1.0`.
fn tooling() -> String {
    format!("{TOOL}/v{}", env!("CARGO_PKG_VERSION"))
}

/// The id that a set has by its name: the same for every tool.
fn id(name: &str, namespace: &str, kind: Kind) -> String {
    let names = kind.names();
    let digest = Sha256::digest(format!("{name}.{namespace}.{}.{}", names.kind, names.group));
    format!("applyset-{}-v1", BASE64_URL_SAFE_NO_PAD.encode(digest))
}

/// `NAME`, or `secrets/NAME` or `configmaps/NAME`.
fn parse(word: &str) -> Result<(Kind, String)> {
    let (kind, name) = match word.split_once('/') {
        None => (Kind::Secret, word),
        Some((word, name)) => (kind(word)?, name),
    };
    if !matches!(kind, Kind::Secret | Kind::ConfigMap) {
        return Err(usage(format!(
            "--applyset: a {} cannot be one; a Secret or ConfigMap can",
            kind.names().kind
        )));
    }
    if name.is_empty() || name.contains('/') {
        return Err(usage(format!("--applyset: {word:?} is neither NAME nor KIND/NAME")));
    }
    Ok((kind, name.to_owned()))
}

impl ApplySet {
    /// Looks up the set that `--applyset` names. One that is not there has nothing in it.
    pub(super) async fn find(connection: &Connection, word: &str) -> Result<Self> {
        let (kind, name) = parse(word)?;
        let namespace = connection.namespace.clone();
        let id = id(&name, &namespace, kind);
        let mut set = Self { kind, name, namespace, id, held: Contents::default(), is_there: false };
        let held: Value = match connection.client.get(&set.path()).await {
            Ok(held) => held,
            Err(error) if error.is_not_found() => return Ok(set),
            Err(error) => return Err(error.into()),
        };
        (set.held, set.is_there) = (set.read(&held)?, true);
        Ok(set)
    }

    fn path(&self) -> String {
        object_path(self.kind, &self.namespace, &self.name)
    }

    /// As a user names it.
    pub(super) fn shown(&self) -> String {
        shown(self.kind, &self.name)
    }

    /// What an object says that is in the set, if it is this one, and this program's.
    fn read(&self, held: &Value) -> Result<Contents> {
        let shown = self.shown();
        let labels = &held["metadata"]["labels"];
        match labels[ID].as_str() {
            Some(id) if id == self.id => {}
            Some(other) => bail!("{shown} is another apply set: its label {ID} is {other}, not {}", self.id),
            None => bail!("{shown} is there and is no apply set: it has no label {ID}; name another one"),
        }
        let annotation = |name: &str| held["metadata"]["annotations"][name].as_str();
        let tool = annotation(TOOLING).with_context(|| format!("{shown} has no annotation {TOOLING}"))?;
        if tool.split('/').next() != Some(TOOL) {
            bail!(
                "the apply set {shown} is kept by {tool}, and two programs would prune each other's objects; to hand it \
                 over: drover annotate {shown} --overwrite {TOOLING}={}",
                tooling()
            );
        }
        let listed = |text: &str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        type ByWord = fn(&str) -> Option<Kind>;
        let (kinds, by_word): (_, ByWord) = match (annotation(KINDS), annotation(RESOURCES)) {
            (Some(kinds), _) => (kinds, by_group_kind),
            (None, Some(resources)) => (resources, by_group_resource),
            (None, None) => bail!("{shown} has no annotation {KINDS}"),
        };
        let kinds = listed(kinds).into_iter().map(|word| {
            by_word(&word)
                .with_context(|| format!("{shown} has objects of {word}, which this drover does not know"))
        });
        Ok(Contents {
            kinds: kinds.collect::<Result<_>>()?,
            namespaces: listed(annotation(NAMESPACES).unwrap_or_default()).into_iter().collect(),
        })
    }

    /// Writes down what is in the set, if that is not what the server has. Before objects are applied and after others
    /// were pruned: in between, it says more than there is and never less.
    pub(super) async fn note(&mut self, connection: &Connection, contents: Contents) -> Result<()> {
        if self.is_there && contents == self.held {
            return Ok(());
        }
        let names = self.kind.names();
        let kinds: BTreeSet<String> = contents.kinds.iter().map(|kind| group_kind(*kind)).collect();
        let joined =
            |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let config = json!({
            "apiVersion": self.kind.api_version(), "kind": names.kind,
            "metadata": {
                "name": self.name, "namespace": self.namespace, "labels": {ID: self.id},
                "annotations": {
                    TOOLING: tooling(), KINDS: joined(&kinds), NAMESPACES: joined(&contents.namespaces),
                },
            },
        });
        let path = Query::new(&self.path()).with("fieldManager", MANAGER).with("force", "true").into_path();
        let written: Result<Value, _> = connection.client.patch(&path, PatchKind::Apply, &config).await;
        written.map_err(|error| anyhow!(error).context(format!("the apply set {}", self.shown())))?;
        (self.held, self.is_there) = (contents, true);
        Ok(())
    }
}

/// `Timer.drover.dev`, or `ConfigMap`.
fn group_kind(kind: Kind) -> String {
    match (kind.names().kind, kind.names().group) {
        (kind, "") => kind.to_owned(),
        (kind, group) => format!("{kind}.{group}"),
    }
}

fn by_group_kind(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| group_kind(*kind) == word)
}

/// By `timers.drover.dev`, or `configmaps`.
fn by_group_resource(word: &str) -> Option<Kind> {
    let (plural, group) = word.split_once('.').unwrap_or((word, ""));
    Kind::ALL.into_iter().find(|kind| (kind.names().plural, kind.names().group) == (plural, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ApplySet {
        ApplySet {
            kind: Kind::Secret,
            name: "web".into(),
            namespace: "default".into(),
            id: id("web", "default", Kind::Secret),
            held: Contents::default(),
            is_there: false,
        }
    }

    #[test]
    fn a_set_is_a_secret_or_a_config_map() {
        assert_eq!(parse("web").unwrap(), (Kind::Secret, "web".to_owned()));
        assert_eq!(parse("cm/web").unwrap(), (Kind::ConfigMap, "web".to_owned()));
        for bad in ["timers/web", "secrets/", "", "secrets/a/b", "nothing/web"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_goes_by_name_namespace_kind_and_group() {
        // SHA-256 of `web.default.Secret.`, in URL-safe base64 without padding.
        assert_eq!(set().id, "applyset-zN5gMMt3uHLO5pHDCETR-9uiGqcPRNY0X24Hk0Rzcgo-v1");
        for kind in Kind::ALL {
            assert_eq!(by_group_kind(&group_kind(kind)), Some(kind));
        }
    }

    #[test]
    fn a_set_of_another_program_or_of_kinds_unknown_here_is_not_touched() {
        let held = |tool: &str, kinds: &str| {
            json!({"metadata": {"labels": {ID: set().id}, "annotations": {
                TOOLING: tool, KINDS: kinds, NAMESPACES: "a, b,",
            }}})
        };
        let read = set().read(&held("drover/v9", "Timer.drover.dev,ConfigMap")).unwrap();
        assert_eq!(read.kinds, BTreeSet::from([Kind::Timer, Kind::ConfigMap]));
        assert_eq!(read.namespaces, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        let said = |held: Value| set().read(&held).unwrap_err().to_string();
        assert!(said(held("kubectl/v1.32.0", "")).contains("drover annotate secret/web --overwrite"));
        assert!(said(held("drover/v9", "Deployment.apps")).contains("Deployment.apps"));
        assert!(said(json!({"metadata": {}})).contains("is no apply set"));
        let mut other = held("drover/v9", "");
        other["metadata"]["labels"][ID] = "applyset-x-v1".into();
        assert!(said(other).contains("another apply set"));
    }
}

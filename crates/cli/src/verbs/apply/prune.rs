//! Deleting what is in an apply set on the server and no longer among what is applied.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use drover_client::{DeleteOptions, List, ListOptions, Preconditions};
use drover_columns::fields::{name, namespace, text};
use drover_types::{Kind, Scope};
use serde_json::Value;

use super::apply_set::{ApplySet, Contents, PART_OF};
use super::order;
use crate::connect::{Connection, collection_path, object_path};
use crate::manifests::Manifest;
use crate::resources::shown;

/// An object that left its set.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) kind: Kind,
    namespace: String,
    pub(super) name: String,
    uid: String,
}

impl Left {
    /// As it is told.
    pub(super) fn shown(&self) -> String {
        shown(self.kind, &self.name)
    }
}

/// What is in a set once these manifests are applied.
pub(super) fn contents(set: &ApplySet, connection: &Connection, stages: &[Vec<Manifest>]) -> Contents {
    let mut contents = Contents::default();
    for manifest in stages.iter().flatten() {
        contents.kinds.insert(manifest.kind);
        let space = manifest.document.namespace.as_ref().unwrap_or(&connection.namespace);
        if manifest.kind.names().scope == Scope::Namespaced && *space != set.namespace {
            contents.namespaces.insert(space.clone());
        }
    }
    contents
}

/// What is in either.
pub(super) fn union(mut one: Contents, other: &Contents) -> Contents {
    one.kinds.extend(&other.kinds);
    one.namespaces.extend(other.namespaces.iter().cloned());
    one
}

/// The members of the set that are not among the manifests: what runs first, and namespaces after what is in them.
pub(super) async fn left(
    set: &ApplySet,
    connection: &Connection,
    (all, stages): (&Contents, &[Vec<Manifest>]),
) -> Result<Vec<Left>> {
    let space_of = |manifest: &Manifest| match manifest.kind.names().scope {
        Scope::Namespaced => {
            manifest.document.namespace.clone().unwrap_or_else(|| connection.namespace.clone())
        }
        Scope::Cluster => String::new(),
    };
    let applied: BTreeSet<(Kind, String, &str)> = stages
        .iter()
        .flatten()
        .map(|manifest| (manifest.kind, space_of(manifest), manifest.document.name.as_str()))
        .collect();
    let options =
        ListOptions { label_selector: Some(format!("{PART_OF}={}", set.id)), ..ListOptions::default() };
    let mut found = Vec::new();
    for kind in &all.kinds {
        let spaces: Vec<Option<&str>> = match kind.names().scope {
            Scope::Cluster => vec![None],
            Scope::Namespaced => {
                all.namespaces.iter().chain([&set.namespace]).map(|space| Some(space.as_str())).collect()
            }
        };
        for space in spaces {
            let list: List<Value> = connection.client.list(&collection_path(*kind, space), &options).await?;
            let members = list.items.iter().filter(|object| {
                !applied.contains(&(*kind, namespace(object).to_owned(), name(object)))
                    && text(object, "/metadata/deletionTimestamp").is_empty()
            });
            found.extend(members.map(|object| Left {
                kind: *kind,
                namespace: namespace(object).to_owned(),
                name: name(object).to_owned(),
                uid: text(object, "/metadata/uid").to_owned(),
            }));
        }
    }
    found.sort_by_key(|left| Reverse(order::stage(left.kind)));
    Ok(found)
}

/// Deletes one of them: the one that was found, and not a later one of its name.
pub(super) async fn prune(connection: &Connection, left: &Left) -> Result<()> {
    let options = DeleteOptions {
        propagation_policy: Some("Background".to_owned()),
        preconditions: Some(Preconditions { uid: Some(left.uid.clone()), resource_version: None }),
    };
    let path = object_path(left.kind, &left.namespace, &left.name);
    match connection.client.delete(&path, &options).await {
        Ok(_) => Ok(()),
        // Somebody else was quicker, or made another one of the name, which is in no set of ours.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

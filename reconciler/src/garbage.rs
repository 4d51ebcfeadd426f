//! Ownership: what goes with its owners, what an owner waits for, and what an owner leaves behind.

use drover_client::{Key, Preconditions, WorkQueue};
use drover_plan::fleet::garbage::{self, Going, OwnerState, blocks, disown, going, is_orphan};
use drover_types::{Kind, ObjectMeta, OwnerReference, Scope};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::shared::Shared;
use crate::view::{Bare, Id};

/// An owner that waits is woken by each dependent that goes; this is for what nobody wakes.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The controller of owners and dependents, of every kind.
pub(crate) struct Garbage;

impl Controller for Garbage {
    type Key = Id;
    const NAME: &'static str = "garbage";

    fn queue(shared: &Shared) -> &WorkQueue<Id> {
        &shared.queues.garbage
    }

    fn all(shared: &Shared) -> Vec<Id> {
        let mut ids = shared.index.graph.owned();
        let goes = |id: &Id| shared.view.meta(id).is_some_and(|meta| going(&meta) != Going::Free);
        ids.extend(shared.index.graph.all().into_iter().filter(goes));
        ids.into_iter().collect()
    }

    async fn reconcile(shared: &Shared, id: &Id) -> Result<Next, Error> {
        let Some(meta) = shared.view.meta(id) else { return Ok(Next::Done) };
        match going(&meta) {
            Going::Foreground => foreground(shared, id, &meta).await,
            Going::Orphan => orphan(shared, id, &meta).await,
            Going::Free => collect(shared, id, &meta).await,
        }
    }
}

/// Deletes dependents, and lets the owner go when none that it waits for is left.
async fn foreground(shared: &Shared, id: &Id, meta: &ObjectMeta) -> Result<Next, Error> {
    let dependents = dependents(shared, &meta.uid);
    let waiting = dependents.iter().any(|(_, dependent)| blocks(dependent, &meta.uid));
    each(shared, dependents, |(kind, key), dependent| async move {
        if dependent.deletion_timestamp.is_none() {
            shared.api.delete(kind, &key, &dependent.uid).await?;
        }
        Ok(())
    })
    .await?;
    if waiting {
        return Ok(Next::After(LOOK_AGAIN));
    }
    drop_finalizer(shared, id, meta, garbage::FOREGROUND).await
}

/// Makes dependents forget the owner, and lets it go.
async fn orphan(shared: &Shared, id: &Id, meta: &ObjectMeta) -> Result<Next, Error> {
    let uid = meta.uid.as_str();
    each(shared, dependents(shared, uid), |(kind, _), dependent| async move {
        if let Some(owners) = disown(&dependent, uid) {
            let change = json!({"metadata": {"ownerReferences": owners}});
            shared.api.patch(kind, &dependent, change).await?;
        }
        Ok(())
    })
    .await?;
    drop_finalizer(shared, id, meta, garbage::ORPHAN).await
}

fn dependents(shared: &Shared, uid: &str) -> Vec<(Id, ObjectMeta)> {
    let ids = shared.index.graph.dependents(uid).into_iter();
    ids.filter_map(|id| shared.view.meta(&id).map(|meta| (id, meta))).collect()
}

async fn each<F: Future<Output = Result<(), Error>>>(
    shared: &Shared,
    dependents: Vec<(Id, ObjectMeta)>,
    act: impl Fn(Id, ObjectMeta) -> F,
) -> Result<(), Error> {
    stream::iter(dependents)
        .map(|(id, meta)| act(id, meta))
        .buffer_unordered(shared.options.parallel_writes.max(1))
        .try_collect()
        .await
}

async fn drop_finalizer(
    shared: &Shared,
    (kind, _): &Id,
    meta: &ObjectMeta,
    finalizer: &str,
) -> Result<Next, Error> {
    let left: Vec<&String> = meta.finalizers.iter().filter(|held| *held != finalizer).collect();
    shared.api.patch(*kind, meta, json!({"metadata": {"finalizers": left}})).await?;
    Ok(Next::Done)
}

/// Deletes an object all of whose owners are gone, each of which is looked for at the server.
async fn collect(shared: &Shared, (kind, key): &Id, meta: &ObjectMeta) -> Result<Next, Error> {
    let owned = !meta.owner_references.is_empty();
    if !owned || meta.deletion_timestamp.is_some() || shared.index.graph.has_owner(meta) {
        return Ok(Next::Done);
    }
    let mut found: BTreeMap<&str, Option<Option<String>>> = BTreeMap::new();
    for owner in &meta.owner_references {
        found.insert(&owner.uid, look(shared, owner, *kind, &key.namespace).await?);
    }
    let state = |owner: &OwnerReference| match found.get(owner.uid.as_str()) {
        Some(Some(Some(uid))) => OwnerState::Is(uid),
        Some(Some(None)) => OwnerState::Gone,
        Some(None) | None => OwnerState::NotKnown,
    };
    if is_orphan(meta, state) {
        let preconditions =
            Preconditions { uid: Some(meta.uid.clone()), resource_version: meta.resource_version.clone() };
        shared.api.delete_if(*kind, key, preconditions).await?;
        tracing::debug!(?kind, %key, "deleted: every owner is gone");
    }
    Ok(Next::Done)
}

/// The uid of the object that has an owner's name now, if there is one; `None`: nobody can tell.
async fn look(
    shared: &Shared,
    owner: &OwnerReference,
    dependent: Kind,
    namespace: &str,
) -> Result<Option<Option<String>>, Error> {
    let Some(kind) = Kind::by_gvk(&owner.api_version, &owner.kind) else { return Ok(None) };
    let namespace = match (kind.names().scope, dependent.names().scope) {
        (Scope::Cluster, _) => "",
        (Scope::Namespaced, Scope::Namespaced) => namespace,
        // In which namespace? Such a reference means nothing, and nothing is deleted for it.
        (Scope::Namespaced, Scope::Cluster) => return Ok(None),
    };
    let key = Key { namespace: namespace.to_owned(), name: owner.name.clone() };
    let found: Option<Bare> = shared.api.get(kind, &key).await?;
    Ok(Some(found.map(|found| found.metadata.uid)))
}

//! Namespaces: Ready while they stand, emptied when they go, and let go once they are empty.

use std::time::Duration;

use drover_client::{Key, ListOptions, WorkQueue};
use drover_plan::fleet::namespace::{status, without_content};
use drover_types::kinds::{Namespace, service_account};
use drover_types::{Kind, Scope};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use crate::api::{Deleted, key_of};
use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::shared::Shared;
use crate::view::Bare;

/// What goes wakes its namespace; this is for what nobody wakes.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// In the order in which they are deleted: what makes others first, Events last.
const CONTENT: [Kind; 10] = [
    Kind::Timer,
    Kind::Task,
    Kind::Service,
    Kind::Assignment,
    Kind::Run,
    Kind::Secret,
    Kind::ConfigMap,
    Kind::ServiceAccount,
    Kind::Lease,
    Kind::Event,
];

/// The controller of Namespaces.
pub(crate) struct Namespaces;

impl Controller for Namespaces {
    type Key = String;
    const NAME: &'static str = "namespaces";

    fn queue(shared: &Shared) -> &WorkQueue<String> {
        &shared.queues.namespaces
    }

    fn all(shared: &Shared) -> Vec<String> {
        shared.view.namespaces.list().into_iter().map(|(key, _)| key.name).collect()
    }

    async fn reconcile(shared: &Shared, name: &String) -> Result<Next, Error> {
        let key = Key { namespace: String::new(), name: name.clone() };
        let Some(namespace) = shared.view.namespaces.get(&key) else { return Ok(Next::Done) };
        if namespace.metadata.deletion_timestamp.is_none() {
            say(shared, &namespace, &[]).await?;
            account(shared, name).await?;
            return Ok(Next::Done);
        }
        let remaining = empty(shared, name).await?;
        if remaining.iter().any(|(_, count)| *count > 0) {
            say(shared, &namespace, &remaining).await?;
            return Ok(Next::After(LOOK_AGAIN));
        }
        let left = without_content(&namespace);
        if left != namespace.spec.finalizers {
            let change = json!({"spec": {"finalizers": left}});
            shared.api.patch(Kind::Namespace, &namespace.metadata, change).await?;
        }
        Ok(Next::Done)
    }
}

/// Makes the account `default`, which every namespace has.
async fn account(shared: &Shared, namespace: &str) -> Result<(), Error> {
    let key = Key { namespace: namespace.to_owned(), name: service_account::DEFAULT.to_owned() };
    if shared.view.has_account(&key) {
        return Ok(());
    }
    let body = json!({"metadata": {"name": key.name}});
    let made: Result<serde_json::Value, _> = shared.api.create(Kind::ServiceAccount, namespace, &body).await;
    match made {
        // Another one made it, or the namespace goes.
        Err(error) if !error.is_already_exists() && !error.is_not_found() && !is_forbidden(&error) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

fn is_forbidden(error: &drover_client::Error) -> bool {
    error.api().is_some_and(|api| api.status.code == 403)
}

async fn say(shared: &Shared, namespace: &Namespace, remaining: &[(&str, u32)]) -> Result<(), Error> {
    let next = status(namespace, remaining, shared.world.clock.now());
    if namespace.status.as_ref() == Some(&next) {
        return Ok(());
    }
    // The phase is the apiserver's.
    let change = json!({
        "observedGeneration": next.observed_generation,
        "conditions": serde_json::to_value(&next.conditions).map_err(Error::Encode)?,
    });
    Ok(shared.api.patch_status(Kind::Namespace, &namespace.metadata, change).await?)
}

/// Deletes what the server has in a namespace now, and counts what is still held by finalizers.
async fn empty(shared: &Shared, namespace: &str) -> Result<Vec<(&'static str, u32)>, Error> {
    debug_assert_eq!(
        Kind::ALL.into_iter().filter(|kind| kind.names().scope == Scope::Namespaced).count(),
        CONTENT.len(),
        "every namespaced kind is content"
    );
    let mut remaining = Vec::new();
    for kind in CONTENT {
        remaining.push((kind.names().plural, empty_of(shared, kind, namespace).await?));
    }
    Ok(remaining)
}

async fn empty_of(shared: &Shared, kind: Kind, namespace: &str) -> Result<u32, Error> {
    let (client, path) = (&shared.api.client, kind.path(Some(namespace)));
    let mut held = 0_u32;
    let mut continue_token = String::new();
    loop {
        let token = Some(continue_token.as_str()).filter(|token| !token.is_empty());
        let page = client.list_page::<Bare>(&path, &ListOptions::default(), token).await?;
        let left: Vec<bool> = stream::iter(page.items)
            .map(|object| remove(shared, kind, object))
            .buffer_unordered(shared.options.parallel_writes.max(1))
            .try_collect()
            .await?;
        let left = left.into_iter().filter(|left| *left).count();
        held = held.saturating_add(u32::try_from(left).unwrap_or(u32::MAX));
        continue_token = page.metadata.continue_token;
        if continue_token.is_empty() {
            return Ok(held);
        }
    }
}

/// Deletes one object. Returns whether finalizers hold it.
async fn remove(shared: &Shared, kind: Kind, object: Bare) -> Result<bool, Error> {
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(true);
    }
    let deleted = shared.api.delete(kind, &key_of(&object.metadata), &object.metadata.uid).await?;
    Ok(matches!(deleted, Deleted::Held(_)))
}

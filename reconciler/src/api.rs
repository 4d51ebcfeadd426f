//! The requests that controllers make, by kind and key. What is absent is an answer here, not an error.

use drover_client::{Client, DeleteOptions, Error, Key, PatchKind, Preconditions, segment};
use drover_types::{Kind, ObjectMeta, Scope};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

/// What became of a delete.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deleted {
    /// There is no such object (any more).
    Gone,
    /// Finalizers hold it; this is how it is now.
    Held(Value),
}

/// A client by kind and key.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) client: Client,
}

fn collection(kind: Kind, namespace: &str) -> String {
    match kind.names().scope {
        Scope::Namespaced => kind.path(Some(&segment(namespace))),
        Scope::Cluster => kind.path(None),
    }
}

fn path(kind: Kind, key: &Key) -> String {
    format!("{}/{}", collection(kind, &key.namespace), segment(&key.name))
}

/// The key of an object.
pub(crate) fn key_of(metadata: &ObjectMeta) -> Key {
    Key { namespace: metadata.namespace.clone().unwrap_or_default(), name: metadata.name.clone() }
}

fn absent<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Api {
    /// Reads an object as the server has it now.
    pub(crate) async fn get<T: DeserializeOwned>(&self, kind: Kind, key: &Key) -> Result<Option<T>, Error> {
        absent(self.client.get(&path(kind, key)).await)
    }

    /// Makes an object.
    pub(crate) async fn create<T: Serialize, R: DeserializeOwned>(
        &self,
        kind: Kind,
        namespace: &str,
        object: &T,
    ) -> Result<R, Error> {
        self.client.create(&collection(kind, namespace), object).await
    }

    /// Replaces everything but status.
    pub(crate) async fn replace<T: Serialize, R: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &Key,
        object: &T,
    ) -> Result<R, Error> {
        self.client.replace(&path(kind, key), object).await
    }

    /// Replaces status.
    pub(crate) async fn replace_status<T: Serialize>(
        &self,
        kind: Kind,
        key: &Key,
        object: &T,
    ) -> Result<(), Error> {
        let _: IgnoredAny = self.client.replace(&format!("{}/status", path(kind, key)), object).await?;
        Ok(())
    }

    /// Merges into everything but status; only while the object is as `seen`.
    pub(crate) async fn patch(
        &self,
        kind: Kind,
        seen: &ObjectMeta,
        mut change: Value,
    ) -> Result<Value, Error> {
        guard(&mut change, seen);
        self.client.patch(&path(kind, &key_of(seen)), PatchKind::Merge, &change).await
    }

    /// Merges into status; only while the object is as `seen`.
    pub(crate) async fn patch_status(
        &self,
        kind: Kind,
        seen: &ObjectMeta,
        status: Value,
    ) -> Result<(), Error> {
        let mut change = json!({"status": status});
        guard(&mut change, seen);
        let path = format!("{}/status", path(kind, &key_of(seen)));
        let _: IgnoredAny = self.client.patch(&path, PatchKind::Merge, &change).await?;
        Ok(())
    }

    /// Deletes an object in the background, if it is still the one with this uid.
    pub(crate) async fn delete(&self, kind: Kind, key: &Key, uid: &str) -> Result<Deleted, Error> {
        self.delete_if(kind, key, Preconditions { uid: Some(uid.to_owned()), resource_version: None }).await
    }

    /// Deletes an object in the background, if it still is as it was seen.
    pub(crate) async fn delete_if(
        &self,
        kind: Kind,
        key: &Key,
        preconditions: Preconditions,
    ) -> Result<Deleted, Error> {
        let options = DeleteOptions {
            propagation_policy: Some("Background".into()),
            preconditions: Some(preconditions),
        };
        Ok(match absent(self.client.delete(&path(kind, key), &options).await)? {
            Some(object) if object.get("kind").is_some_and(|kind| kind != "Status") => Deleted::Held(object),
            _ => Deleted::Gone,
        })
    }
}

/// Makes a change hold for the version that was seen, and for no other.
fn guard(change: &mut Value, seen: &ObjectMeta) {
    change["metadata"]["uid"] = seen.uid.clone().into();
    if let Some(version) = &seen.resource_version {
        change["metadata"]["resourceVersion"] = version.clone().into();
    }
}

//! The credential of a node: one per Node, told apart by the Node's uid, and good only while that Node is there.

use drover_store::{ListOptions, StoreError, Txn};
use drover_types::Kind;
use serde::{Deserialize, Serialize};

use super::{Member, Sessions, marker};
use crate::error::ApiError;
use crate::identity::{Role, Tokens};
use crate::objects::{Place, store_error};
use crate::prepare;

/// Where the pointers to the nodes' credentials lie: outside of what a watch can show.
const PREFIX: &str = "/credentials/";
/// Pointers read at a time.
const PAGE: usize = 1000;

/// Which credential a node has.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    uid: String,
    /// The key of the token's record.
    token: String,
}

fn key(node: &str) -> String {
    format!("{PREFIX}{node}")
}

impl Sessions {
    /// Adds to a transaction that a node has a new credential and no other. The credential is shown this once.
    pub(super) async fn issue(&self, txn: Txn, node: &str, uid: &str) -> Result<(Txn, String), ApiError> {
        let store = &self.0.objects.store;
        let held = store.get(key(node).as_bytes()).await.map_err(store_error)?;
        let role = Role::Node { name: node.to_owned(), uid: uid.to_owned() };
        let (token, record_key, record) = Tokens::mint(&self.0.objects.world, role)?;
        let pointer = Pointer { uid: uid.to_owned(), token: record_key.clone() };
        let pointer = serde_json::to_vec(&pointer).map_err(|error| ApiError::internal(&error))?;
        let mut txn = txn
            .when(key(node), held.as_ref().map_or(0, |held| held.mod_revision))
            .put(key(node), pointer)
            .put(record_key, record);
        if let Some(older) = held.and_then(|held| serde_json::from_slice::<Pointer>(&held.value).ok()) {
            txn = txn.delete(older.token);
        }
        Ok((txn, token))
    }

    /// The Node that a credential is for, if it is still there. A later Node of the same name is another one.
    pub(super) fn member(&self, name: &str, uid: &str) -> Result<Member, ApiError> {
        let at = Place { kind: Kind::Node, namespace: None, name };
        let stored = self.0.objects.find(at)?.ok_or_else(ApiError::unauthorized)?;
        if prepare::text(&stored.object, "uid") != uid || prepare::is_deleting(&stored.object) {
            return Err(ApiError::unauthorized());
        }
        Ok(Member { name: name.to_owned(), uid: uid.to_owned(), created: stored.created })
    }

    /// Whether a credential is still the node's own: `record` is the key of its record. To be asked once the session is
    /// in the registry, where whoever gives the node another credential ends it.
    pub(super) async fn is_current(&self, node: &str, record: &str) -> Result<bool, ApiError> {
        let held = self.0.objects.store.get(key(node).as_bytes()).await.map_err(store_error)?;
        let pointer = held.and_then(|held| serde_json::from_slice::<Pointer>(&held.value).ok());
        Ok(pointer.is_some_and(|pointer| pointer.token == record))
    }

    /// Removes what was kept for a Node that is gone. It was worth nothing from the moment the Node went.
    pub(super) async fn forget(&self, node: &str, uid: &str) {
        if let Err(error) = self.try_forget(node, uid).await {
            // The next start tries again.
            tracing::warn!(node, %error, "the credential of a deleted Node was not removed");
        }
    }

    async fn try_forget(&self, node: &str, uid: &str) -> Result<(), StoreError> {
        let store = &self.0.objects.store;
        if self.index().hosts(node, uid) {
            return Ok(());
        }
        let mut txn = Txn::new().delete(marker::key(uid));
        if let Some(held) = store.get(key(node).as_bytes()).await?
            && let Ok(pointer) = serde_json::from_slice::<Pointer>(&held.value)
            && pointer.uid == uid
        {
            txn = txn.when(key(node), held.mod_revision).delete(key(node)).delete(pointer.token);
        }
        // A conflict means that the name was joined anew, which has removed the old credential.
        store.txn(txn).await.map(drop)
    }

    /// Removes what was kept for Nodes that went while no server ran.
    pub(crate) async fn forget_all(&self) -> Result<(), StoreError> {
        let store = &self.0.objects.store;
        let mut after = None;
        loop {
            let options = ListOptions { limit: PAGE, start_after: after.take(), ..ListOptions::default() };
            let page = store.list(PREFIX.as_bytes(), options).await?;
            for held in &page.items {
                let name = String::from_utf8_lossy(&held.key[PREFIX.len()..]).into_owned();
                if let Ok(pointer) = serde_json::from_slice::<Pointer>(&held.value) {
                    self.try_forget(&name, &pointer.uid).await?;
                }
            }
            match page.items.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }
}

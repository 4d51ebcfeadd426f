//! The credential of a node: one per Node, told apart by the Node's uid, and good only while that Node is there. A Node
//! that has one stays with the host that got it: another host takes its place only with a token made for that Node.

use drover_store::{ListOptions, StoreError, Txn};
use drover_types::Kind;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Member, Sessions, marker};
use crate::error::ApiError;
use crate::identity::{Role, Tokens};
use crate::objects::{Place, store_error};
use crate::pki::hex;
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
    /// SHA-256 of the id of the host that got it, in hex; absent for the server's own host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// Who asks to be a node.
#[derive(Clone, Copy)]
pub(super) enum Claim<'a> {
    /// The server, for its own host.
    Server,
    /// A host elsewhere.
    Host {
        /// Its id.
        id: &'a str,
        /// Whether its token was made for this very node.
        invited: bool,
    },
}

impl Claim<'_> {
    fn host(self) -> Option<String> {
        match self {
            Self::Server => None,
            Self::Host { id, .. } => Some(hex(&Sha256::digest(id.as_bytes()))),
        }
    }

    /// Whether it may have the credential of a Node that has given one to the host of `held`.
    fn may_replace(self, held: &Pointer) -> bool {
        match self {
            Self::Server | Self::Host { invited: true, .. } => true,
            Self::Host { .. } => held.host.is_some() && held.host == self.host(),
        }
    }
}

fn key(node: &str) -> String {
    format!("{PREFIX}{node}")
}

impl Sessions {
    /// Adds to a transaction that a node has a new credential and no other. The credential is shown this once. Refuses
    /// whoever may not take the place of the host that the node is.
    pub(super) async fn issue(
        &self,
        txn: Txn,
        node: &str,
        uid: &str,
        claim: Claim<'_>,
    ) -> Result<(Txn, String), ApiError> {
        let store = &self.0.objects.store;
        let held = store.get(key(node).as_bytes()).await.map_err(store_error)?;
        let older = held.as_ref().and_then(|held| serde_json::from_slice::<Pointer>(&held.value).ok());
        if older.as_ref().is_some_and(|older| older.uid == uid && !claim.may_replace(older)) {
            let detail = format!(
                "another host is this node. If this host is to take its place, join with a token made for it \
                 (drover token create node --node-name {node}), or delete the Node first (drover delete node {node})"
            );
            return Err(ApiError::forbidden(Kind::Node, node, &detail));
        }
        let role = Role::Node { name: node.to_owned(), uid: uid.to_owned() };
        let (token, record_key, record) = Tokens::mint(&self.0.objects.world, role)?;
        let pointer = Pointer { uid: uid.to_owned(), token: record_key.clone(), host: claim.host() };
        let pointer = serde_json::to_vec(&pointer).map_err(|error| ApiError::internal(&error))?;
        let mut txn = txn
            .when(key(node), held.as_ref().map_or(0, |held| held.mod_revision))
            .put(key(node), pointer)
            .put(record_key, record);
        if let Some(older) = older {
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
                    self.forget(&name, &pointer.uid).await;
                }
            }
            match page.items.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }
}

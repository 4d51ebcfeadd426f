//! Writes to a Node's status on behalf of its session: connect, disconnect, and the disconnect of all at a start.

use std::time::Duration;

use drover_store::{Object, Txn, TxnOutcome};
use drover_types::Kind;
use drover_types::kinds::Node;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::Value;

use super::{Member, Sessions, node_facts};
use crate::admission;
use crate::error::ApiError;
use crate::keys;
use crate::objects::{ATTEMPTS, Place, Stored};
use crate::query::FieldValidation;

/// Nodes written to at once at a start.
const AT_ONCE: usize = 64;
/// Between two tries to store a disconnect.
const PAUSE: Duration = Duration::from_secs(5);

/// A Node decoded, changed, and as it would be stored; `None` where the change is none.
pub(crate) fn changed(stored: &Stored, change: impl FnOnce(&mut Node)) -> Result<Option<Value>, ApiError> {
    let mut node: Node =
        serde_json::from_value(stored.object.clone()).map_err(|error| ApiError::internal(&error))?;
    change(&mut node);
    let next = serde_json::to_value(node).map_err(|error| ApiError::internal(&error))?;
    let (next, _) = admission::admit(Kind::Node, next, Some(&stored.object), &[], FieldValidation::Ignore)?;
    Ok((next != stored.object).then_some(next))
}

impl Sessions {
    /// Changes the member's Node as long as `still` holds. Whether it is there to be changed.
    pub(crate) async fn write_node(
        &self,
        member: &Member,
        still: impl Fn() -> bool,
        change: impl Fn(&mut Node),
    ) -> Result<bool, ApiError> {
        let objects = &self.0.objects;
        let at = Place { kind: Kind::Node, namespace: None, name: &member.name };
        for _ in 0..ATTEMPTS {
            let Some(stored) = objects.find(at)? else { return Ok(false) };
            if crate::prepare::text(&stored.object, "uid") != member.uid || !still() {
                return Ok(false);
            }
            // Written also where nothing differs, so that of two sessions' writes one sees the other.
            let next = changed(&stored, &change)?.unwrap_or_else(|| stored.object.clone());
            let txn = Txn::new().when(at.key(), stored.revision).put(at.key(), keys::encode(&next));
            if let TxnOutcome::Committed { .. } = objects.commit(txn).await? {
                return Ok(true);
            }
        }
        Err(ApiError::conflict(Kind::Node, &member.name))
    }

    /// The session is over. Says so in the Node, unless a newer one stands. Where the store does not take it, it is
    /// tried again until it does or the server stops, whose next start puts it right.
    pub(crate) async fn disconnected(&self, member: &Member) {
        let now = self.0.objects.world.clock.now();
        while let Err(error) = self.write_disconnect(member, now).await {
            tracing::warn!(node = member.name, %error, "a disconnect is not stored yet");
            tokio::select! {
                biased;
                () = self.0.stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn write_disconnect(&self, member: &Member, now: Timestamp) -> Result<bool, ApiError> {
        let still = || self.0.registry.get(&member.name).is_none();
        let change = |node: &mut Node| {
            let session = node_facts::session(&self.0.server_id, false, now);
            node.status.get_or_insert_default().session = Some(session);
        };
        self.write_node(member, still, change).await
    }

    /// Counts every session that the store calls connected as disconnected now: nobody is connected to a server that
    /// starts. What a full disk or a damaged store does not take is tried again while the server serves: it has to, for
    /// room to be made, or for anybody to see what is wrong.
    pub(crate) async fn disconnect_all(&self) {
        let now = self.0.objects.world.clock.now();
        let (_, nodes) = self.0.objects.cache.snapshot(keys::prefix(Kind::Node, None).as_bytes());
        let connected = nodes.iter().filter_map(|object| connected(object));
        stream::iter(connected)
            .for_each_concurrent(AT_ONCE, |member| async move {
                if let Err(error) = self.write_disconnect(&member, now).await {
                    tracing::warn!(node = member.name, %error, "a disconnect is not stored yet");
                    let sessions = self.clone();
                    self.0.tasks.spawn(async move { sessions.disconnected(&member).await });
                }
            })
            .await;
    }
}

/// The node, if its Node says that it is connected.
fn connected(object: &Object) -> Option<Member> {
    let node: Node = serde_json::from_slice(&object.bytes).ok()?;
    let connected = node.status.and_then(|status| status.session).is_some_and(|session| session.connected);
    connected.then_some(Member {
        name: node.metadata.name,
        uid: node.metadata.uid,
        created: object.create_revision,
    })
}

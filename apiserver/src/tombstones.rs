//! What is remembered of finished children of an idempotency key, so that a late repeat of a call runs nothing again.
//!
//! A tombstone is written in the transaction that removes the child, and lies outside of what a watch can show. It goes
//! when the Task's `idempotencyWindow` is over.

use std::time::Duration;

use bytes::Bytes;
use drover_store::{ListOptions, Txn};
use drover_types::Kind;
use drover_types::call::IDEMPOTENCY_WINDOW;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::invoke::KEY_ANNOTATION;
use crate::objects::{Objects, Place, store_error};
use crate::prepare;

const PREFIX: &str = "/tombstones/";
/// How often those whose time is over are looked for.
const SWEEP: Duration = Duration::from_secs(600);
/// How many are read at once.
const PAGE: usize = 500;

#[derive(Serialize, Deserialize)]
struct Tombstone {
    expires: Timestamp,
    /// The child as it was last.
    object: Value,
}

/// Where the tombstone of a child lies.
pub(crate) fn key(child: Place<'_>) -> String {
    format!("{PREFIX}{}/{}/{}", child.kind.names().plural, child.namespace.unwrap_or_default(), child.name)
}

/// The tombstone that a removed object leaves, if it leaves one.
pub(crate) fn of(at: Place<'_>, object: &Value, now: Timestamp) -> Option<(String, Vec<u8>)> {
    if at.kind != Kind::Task || prepare::metadata(object).get("annotations")?.get(KEY_ANNOTATION).is_none() {
        return None;
    }
    let over = |condition: &Value| {
        condition["status"] == "True" && (condition["type"] == "Complete" || condition["type"] == "Failed")
    };
    if !object.pointer("/status/conditions")?.as_array()?.iter().any(over) {
        // It was taken back before it was done: the next call with its key is a new one.
        return None;
    }
    let window = object.pointer("/spec/idempotencyWindow").cloned();
    let window: drover_types::Duration =
        window.and_then(|window| serde_json::from_value(window).ok()).unwrap_or(IDEMPOTENCY_WINDOW);
    let expires = now.checked_add(window.to_signed()).unwrap_or(Timestamp::MAX);
    let stone = serde_json::to_vec(&Tombstone { expires, object: object.clone() }).ok()?;
    Some((key(at), stone))
}

impl Objects {
    /// The child of this name that was let go within its window.
    pub(crate) async fn tombstone(&self, child: Place<'_>) -> Result<Option<Value>, ApiError> {
        let key = key(child);
        let Some(held) = self.store.get(key.as_bytes()).await.map_err(store_error)? else { return Ok(None) };
        let stone: Tombstone =
            serde_json::from_slice(&held.value).map_err(|error| ApiError::internal(&error))?;
        if self.world.clock.now() < stone.expires {
            return Ok(Some(stone.object));
        }
        // Its time is over: it must not be in the way of a new child. A conflict means that somebody else was quicker.
        let txn = Txn::new().when(key.clone(), held.mod_revision).delete(key);
        self.commit(txn).await?;
        Ok(None)
    }

    /// Removes every tombstone whose time is over; how many those were.
    pub(crate) async fn sweep_tombstones(&self) -> Result<usize, ApiError> {
        let mut start_after: Option<Bytes> = None;
        let mut gone = 0;
        loop {
            let options = ListOptions { limit: PAGE, start_after, ..ListOptions::default() };
            let page = self.store.list(PREFIX.as_bytes(), options).await.map_err(store_error)?;
            let now = self.world.clock.now();
            for held in &page.items {
                let expired = serde_json::from_slice(&held.value).is_ok_and(|t: Tombstone| t.expires <= now);
                if expired {
                    let txn = Txn::new().when(held.key.clone(), held.mod_revision).delete(held.key.clone());
                    self.commit(txn).await?;
                    gone += 1;
                }
            }
            start_after = page.items.last().map(|held| held.key.clone()).filter(|_| page.more);
            if start_after.is_none() {
                return Ok(gone);
            }
        }
    }
}

/// Removes tombstones now and then, until the server stops.
pub(crate) async fn sweep(objects: Objects, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        if let Err(error) = objects.sweep_tombstones().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "tombstones were not swept");
        }
    }
}

//! Writes Events: a new one, or one more time of one that is there.

use drover_client::{Key, WorkQueue};
use drover_types::kinds::Event;
use drover_types::kinds::core::EventSource;
use drover_types::{Kind, ObjectMeta};
use serde::de::IgnoredAny;

use super::record::Pending;
use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::shared::Shared;

const COMPONENT: &str = "drover-reconciler";

/// The controller of Events to be written.
pub(crate) struct Events;

impl Controller for Events {
    type Key = Key;
    const NAME: &'static str = "events";

    fn queue(shared: &Shared) -> &WorkQueue<Key> {
        &shared.queues.events
    }

    fn all(shared: &Shared) -> Vec<Key> {
        shared.recorder.waiting()
    }

    async fn reconcile(shared: &Shared, key: &Key) -> Result<Next, Error> {
        let Some(pending) = shared.recorder.take(key) else { return Ok(Next::Done) };
        match write(shared, key, &pending).await {
            Ok(()) => Ok(Next::Done),
            // Its namespace is gone, and there is nowhere to tell it.
            Err(Error::Client(error)) if error.is_not_found() || error.is_invalid() => {
                tracing::debug!(%key, error = &error as &dyn std::error::Error, "an event was dropped");
                shared.stats.dropped_event();
                Ok(Next::Done)
            }
            Err(error) => {
                shared.recorder.put_back(key, pending);
                Err(error)
            }
        }
    }
}

async fn write(shared: &Shared, key: &Key, pending: &Pending) -> Result<(), Error> {
    let held: Option<Event> = shared.api.get(Kind::Event, key).await?;
    let _: IgnoredAny = match held {
        Some(mut event) => {
            event.count = event.count.saturating_add(pending.count);
            event.last_timestamp = Some(pending.last);
            shared.api.replace(Kind::Event, key, &event).await?
        }
        None => shared.api.create(Kind::Event, &key.namespace, &event(key, pending)).await?,
    };
    Ok(())
}

fn event(key: &Key, pending: &Pending) -> Event {
    Event {
        api_version: "v1".into(),
        kind: "Event".into(),
        metadata: ObjectMeta {
            name: key.name.clone(),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: pending.about.clone(),
        reason: pending.reason.clone(),
        message: pending.message.clone(),
        type_: pending.type_.into(),
        count: pending.count,
        first_timestamp: Some(pending.first),
        last_timestamp: Some(pending.last),
        source: EventSource { component: COMPONENT.into(), host: String::new() },
        reporting_component: COMPONENT.into(),
        ..Event::default()
    }
}

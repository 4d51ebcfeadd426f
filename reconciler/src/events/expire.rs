//! Lets Events go, whoever wrote them: those that are old, and the oldest of too many.

use std::time::Duration;

use drover_client::{Key, WorkQueue};
use drover_types::Kind;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::shared::Shared;

/// Old ones go in passes, so that a clock that creeps does not make a pass of each.
const PASS: Duration = Duration::from_secs(60);

/// The controller of Events that go.
pub(crate) struct Expiry;

impl Controller for Expiry {
    type Key = ();
    const NAME: &'static str = "expiry";

    fn queue(shared: &Shared) -> &WorkQueue<()> {
        &shared.queues.expiry
    }

    fn all(_: &Shared) -> Vec<()> {
        vec![()]
    }

    async fn reconcile(shared: &Shared, (): &()) -> Result<Next, Error> {
        let mut held: Vec<(Option<Timestamp>, Key, String)> = Vec::new();
        shared.view.events.for_each(|key, event| {
            held.push((event.last(), key.clone(), event.metadata.uid.clone()));
        });
        let due = due(held, shared.options.max_events, oldest_kept(shared));
        stream::iter(due)
            .map(|(key, uid)| async move { shared.api.delete(Kind::Event, &key, &uid).await.map(|_| ()) })
            .buffer_unordered(shared.options.parallel_writes.max(1))
            .try_collect::<()>()
            .await?;
        Ok(Next::After(PASS))
    }
}

fn oldest_kept(shared: &Shared) -> Timestamp {
    let ttl = SignedDuration::try_from(shared.options.event_ttl).unwrap_or(SignedDuration::MAX);
    shared.world.clock.now().checked_sub(ttl).unwrap_or(Timestamp::MIN)
}

/// Which go: what happened last before `oldest_kept`, and the oldest of more than `most`.
fn due<T>(mut held: Vec<(Option<Timestamp>, Key, T)>, most: usize, oldest_kept: Timestamp) -> Vec<(Key, T)> {
    held.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let too_many = held.len().saturating_sub(most);
    held.into_iter()
        .enumerate()
        .filter(|(index, (last, _, _))| *index < too_many || last.is_some_and(|last| last < oldest_kept))
        .map(|(_, (_, key, rest))| (key, rest))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_ones_go_and_the_oldest_of_too_many() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let key = |name: &str| Key { namespace: "n".into(), name: name.into() };
        let held = vec![(at(30), key("c"), ()), (at(10), key("a"), ()), (at(20), key("b"), ())];
        let names = |due: Vec<(Key, ())>| due.into_iter().map(|(key, ())| key.name).collect::<Vec<_>>();
        let never = Timestamp::MIN;
        assert_eq!(names(due(held.clone(), 10, at(20).unwrap())), ["a"]);
        assert_eq!(names(due(held.clone(), 1, never)), ["a", "b"]);
        assert!(names(due(held, 3, never)).is_empty());
    }
}

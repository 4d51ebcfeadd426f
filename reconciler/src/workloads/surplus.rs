//! What `ttlAfterFinished` takes away: a Task's Assignments and Runs, and the Task if it is a child.

use drover_plan::fleet::history::{Ttl, ttl};
use drover_types::Kind;
use drover_types::kinds::Task;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::api::key_of;
use crate::error::Error;
use crate::shared::Shared;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cleared {
    /// Nothing.
    No,
    /// Nothing yet.
    Until(Timestamp),
    /// Assignments and Runs went.
    Content,
    /// The Task went.
    Removed,
}

impl Cleared {
    /// When to look again.
    pub(super) fn until(self) -> Option<Timestamp> {
        match self {
            Self::Until(time) => Some(time),
            Self::No | Self::Content | Self::Removed => None,
        }
    }
}

/// Does what is due for a Task.
pub(super) async fn clear(shared: &Shared, task: &Task) -> Result<Cleared, Error> {
    match ttl(task, shared.world.clock.now()) {
        Ttl::Keep => Ok(Cleared::No),
        Ttl::Until(time) => Ok(Cleared::Until(time)),
        Ttl::Clear => {
            content(shared, &task.metadata.uid).await?;
            Ok(Cleared::Content)
        }
        Ttl::Remove => {
            let metadata = &task.metadata;
            shared.api.delete(Kind::Task, &key_of(metadata), &metadata.uid).await?;
            Ok(Cleared::Removed)
        }
    }
}

async fn content(shared: &Shared, uid: &str) -> Result<(), Error> {
    let runs = shared.index.runs.slots_of(uid).into_iter().flat_map(|slot| shared.index.runs.in_slot(&slot));
    let runs = runs.filter_map(|key| {
        let run = shared.view.runs.get(&key)?;
        run.0.metadata.deletion_timestamp.is_none().then(|| (Kind::Run, key, run.0.metadata.uid.clone()))
    });
    let assignments = shared.index.assignments.of_workload(uid).into_iter().filter_map(|held| {
        let metadata = &held.metadata;
        let kept = metadata.deletion_timestamp.is_none();
        kept.then(|| (Kind::Assignment, key_of(metadata), metadata.uid.clone()))
    });
    let all: Vec<_> = runs.chain(assignments).collect();
    stream::iter(all)
        .map(|(kind, key, uid)| async move { shared.api.delete(kind, &key, &uid).await.map(|_| ()) })
        .buffer_unordered(shared.options.parallel_writes.max(1))
        .try_collect::<()>()
        .await?;
    Ok(())
}

//! How long the past is kept. The store bounds it by count and bytes; this bounds it by time too, so that what was
//! deleted on a quiet server is gone from its disk some day.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drover_store::{Result, Store};
use tokio_util::sync::CancellationToken;

/// How often a revision is noted.
const STEP: Duration = Duration::from_secs(300);
/// After so many steps it is the oldest that is kept: an hour.
const STEPS: usize = 12;

/// The revisions noted, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<u64>);

impl History {
    /// Notes where the store is, and lets go of what is older than the oldest note.
    pub(crate) async fn step(&mut self, store: &dyn Store) -> Result<()> {
        self.0.push_back(store.status().await?.revision);
        if self.0.len() > STEPS
            && let Some(oldest) = self.0.pop_front()
        {
            store.compact(oldest).await?;
        }
        Ok(())
    }
}

/// Does so until the server stops.
pub(crate) async fn trim(store: Arc<dyn Store>, stop: CancellationToken) {
    let mut history = History::default();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(STEP) => {}
        }
        if let Err(error) = history.step(&*store).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the past was not let go of");
        }
    }
}

#[cfg(test)]
mod tests {
    use drover_store::{Options, SqliteStore, Txn};

    use super::*;

    #[tokio::test]
    async fn what_is_an_hour_old_is_let_go_of() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), Options::new(|| 1)).unwrap();
        let mut history = History::default();
        for step in 0..20_u64 {
            store.txn(Txn::new().put("k", step.to_string())).await.unwrap();
            history.step(&store).await.unwrap();
            let compacted = store.status().await.unwrap().compacted;
            assert_eq!(compacted, (step + 1).saturating_sub(STEPS as u64), "after step {step}");
        }
    }
}

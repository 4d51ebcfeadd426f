//! A role that has started gives back the memory that only its start needed.

use std::time::Duration;

use drover_node_agent::forget_program;

/// When a start is over: what it has opened and told by then is what it will use.
const STARTED: Duration = Duration::from_secs(2);

/// Does so in the background.
pub(crate) fn later() {
    tokio::spawn(async {
        tokio::time::sleep(STARTED).await;
        match tokio::task::spawn_blocking(forget_program).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the memory of the start is kept"),
            Err(error) => tracing::debug!(%error, "the memory of the start is kept"),
        }
    });
}

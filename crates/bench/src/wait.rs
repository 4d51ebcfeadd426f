//! Waiting for something outside to become so.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock;

/// How long anything may take before a row gives up.
const PATIENCE: f64 = 180.0;
/// Between two looks; never part of what is measured.
const LOOK: Duration = Duration::from_millis(20);

/// Looks again and again until it is so.
pub(crate) async fn until<F>(what: &str, mut look: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let begun = clock::mono();
    while !look().await? {
        if clock::seconds_since(begun) > PATIENCE {
            bail!("waited {PATIENCE} s for {what} in vain");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

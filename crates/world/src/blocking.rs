//! Work that holds up whoever does it: a slow disk, a process that does not want to end.

use tokio::sync::oneshot;

/// Work that was given away.
pub type Work = Box<dyn FnOnce() + Send>;

/// Where blocking work goes.
pub trait Blocking: Send + Sync {
    /// Does the work later and elsewhere. What has begun is not taken back, whoever stops waiting for it.
    fn begin(&self, work: Work);
}

/// The blocking threads of the tokio runtime that the caller is in.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockingThreads;

impl Blocking for BlockingThreads {
    fn begin(&self, work: Work) {
        // The work itself tells whoever waits for it.
        drop(tokio::task::spawn_blocking(work));
    }
}

/// The work was not done to its end: it panicked, or nobody is left to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished;

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the work was not done to its end")
    }
}

impl std::error::Error for Unfinished {}

/// Does the work where it blocks nobody, and waits for what comes of it.
pub(crate) async fn wait_for<T: Send + 'static>(
    blocking: &dyn Blocking,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let (done, result) = oneshot::channel();
    blocking.begin(Box::new(move || {
        // Nobody may be left who wants it.
        let _ = done.send(work());
    }));
    result.await.map_err(|_| Unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocking_work_gives_its_result_and_its_panic_away() {
        assert_eq!(wait_for(&BlockingThreads, || 7).await, Ok(7));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let ended: Result<(), Unfinished> = wait_for(&BlockingThreads, || panic!("as meant")).await;
        std::panic::set_hook(hook);
        assert_eq!(ended, Err(Unfinished));
    }
}

//! Work in virtual time: whatever waits has waited, and a task that panics is noticed.

use std::cell::Cell;
use std::sync::Once;
use std::time::Duration;

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}
static HOOK: Once = Once::new();

/// Runs it, with every task that it starts, on this thread.
pub(crate) fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O asks for nothing");
    let before = PANICS.get();
    let done = runtime.block_on(work);
    drop(runtime);
    assert_eq!(PANICS.get(), before, "a task panicked");
    done
}

/// Waits for what must come, for an hour.
pub(crate) async fn within_an_hour<T>(what: &str, work: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(3600), work).await;
    waited.unwrap_or_else(|_| panic!("not within an hour: {what}"))
}

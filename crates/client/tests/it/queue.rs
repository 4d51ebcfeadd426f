//! The laws of the work queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drover_client::{QueueFull, QueueOptions, WorkQueue};
use drover_world::SystemEntropy;
use futures_util::FutureExt;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn queue(options: QueueOptions) -> WorkQueue<u32> {
    WorkQueue::new(options, Arc::new(SystemEntropy))
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_once_however_often_it_was_added() {
    let queue = queue(QueueOptions::default());
    for key in [2, 1, 2, 2, 1] {
        queue.add(key).unwrap();
    }
    queue.add_after(1, SECOND).unwrap();
    assert_eq!(queue.len(), 2);
    for expected in [2, 1] {
        let work = queue.next().await.unwrap();
        assert_eq!(*work.key(), expected);
        work.done();
    }
    assert!(queue.is_empty() && queue.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_key_added_while_worked_on_comes_again_and_only_afterwards() {
    let queue = queue(QueueOptions::default());
    queue.add(1).unwrap();
    let work = queue.next().await.unwrap();
    queue.add(1).unwrap();
    assert!(queue.next().now_or_never().is_none());
    work.done();
    queue.next().now_or_never().unwrap().unwrap().done();
    assert!(queue.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_key_comes_at_its_earliest_time() {
    let queue = queue(QueueOptions::default());
    let start = Instant::now();
    queue.add_after(1, 9 * SECOND).unwrap();
    queue.add_after(1, 4 * SECOND).unwrap();
    queue.add_after(1, 7 * SECOND).unwrap();
    queue.add_after(2, SECOND).unwrap();
    assert_eq!(*queue.next().await.unwrap().key(), 2);
    let work = queue.next().await.unwrap();
    // The first was dropped without a word, so it came back before.
    assert_eq!(*work.key(), 2);
    work.done();
    let work = queue.next().await.unwrap();
    assert_eq!((*work.key(), start.elapsed().as_secs()), (1, 4));
    work.done();
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_clamped() {
    let queue = queue(QueueOptions { max_delay: 10 * SECOND, ..QueueOptions::default() });
    let start = Instant::now();
    queue.add_after(1, Duration::MAX).unwrap();
    queue.next().await.unwrap().done_until(Duration::MAX);
    assert_eq!(start.elapsed().as_secs(), 10);
    queue.next().await.unwrap().done();
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_keeps_failing_waits_longer_up_to_the_maximum() {
    let options = QueueOptions { min_backoff: SECOND, max_backoff: 8 * SECOND, ..QueueOptions::default() };
    let queue = queue(options);
    queue.add(1).unwrap();
    for full in [1, 2, 4, 8, 8, 8] {
        let work = queue.next().await.unwrap();
        // It changes all the time, which must not make it fail all the time.
        queue.add(1).unwrap();
        let before = Instant::now();
        let wait = work.failed();
        assert!(wait >= full * SECOND / 2 && wait <= full * SECOND, "{wait:?} of {full}");
        assert!(queue.next().now_or_never().is_none());
        tokio::time::sleep(wait / 2).await;
        assert!(queue.next().now_or_never().is_none());
        assert!(before.elapsed() < wait);
    }
    queue.next().await.unwrap().done();
    queue.add(1).unwrap();
    assert!(queue.next().await.unwrap().failed() <= SECOND, "success forgets failures");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_remembers_that_it_did() {
    let queue = queue(QueueOptions { capacity: 2, ..QueueOptions::default() });
    queue.add(1).unwrap();
    queue.add_after(2, SECOND).unwrap();
    assert_eq!(queue.add(3), Err(QueueFull));
    assert_eq!(queue.add_after(3, SECOND), Err(QueueFull));
    queue.add(2).unwrap();
    assert!(queue.take_overflow() && !queue.take_overflow());
    let work = queue.next().await.unwrap();
    assert_eq!(queue.add(3), Err(QueueFull), "there must be room for what is being worked on");
    work.done();
    queue.add(3).unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_lets_every_worker_go() {
    let queue = queue(QueueOptions::default());
    let workers: Vec<_> = (0..5)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.next().await.is_none() })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.close();
    for worker in workers {
        assert!(worker.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn many_workers_never_share_a_key_and_lose_no_addition() {
    let queue = queue(QueueOptions { min_backoff: Duration::from_millis(1), ..QueueOptions::default() });
    // By key: the newest value written, the newest seen by a worker, and whether one is at it.
    let state = Arc::new(Mutex::new(BTreeMap::<u32, (u32, u32, bool)>::new()));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, state) = (queue.clone(), Arc::clone(&state));
            tokio::spawn(async move {
                while let Some(work) = queue.next().await {
                    let key = *work.key();
                    let seen = {
                        let mut state = state.lock().unwrap();
                        let (written, _, busy) = state.get_mut(&key).unwrap();
                        assert!(!std::mem::replace(busy, true), "two workers on one key");
                        *written
                    };
                    tokio::time::sleep(Duration::from_millis(u64::from(key % 3))).await;
                    let mut state = state.lock().unwrap();
                    let entry = state.get_mut(&key).unwrap();
                    (entry.1, entry.2) = (seen, false);
                    drop(state);
                    match seen % 5 {
                        0 => drop(work.failed()),
                        1 => work.done_until(SECOND),
                        _ => work.done(),
                    }
                }
            })
        })
        .collect();
    for step in 1..2000_u32 {
        let key = step * 7919 % 11;
        state.lock().unwrap().entry(key).or_default().0 = step;
        if step % 4 == 0 {
            queue.add_after(key, Duration::from_millis(u64::from(step % 7))).unwrap();
        } else {
            queue.add(key).unwrap();
        }
        if step % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // Failing keys never rest, so wait for the fact and not for an empty queue.
    while state.lock().unwrap().values().any(|(written, seen, _)| written != seen) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    queue.close();
    for worker in workers {
        worker.await.unwrap();
    }
}

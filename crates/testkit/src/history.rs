//! The history of a run: its steps in order, what the laws say of each, and the end of the timeline for people.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::clock::Origin;
use crate::law::{Law, Scene};
use crate::step::{Event, Part, Step};

/// Steps between two looks of the laws at everything.
const IN_FULL: u64 = 1000;

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: &'static str,
    /// At which step.
    pub step: u64,
    /// How.
    pub what: String,
}

struct Inner {
    steps: u64,
    hash: Sha256,
    last: VecDeque<String>,
    keep: usize,
    scene: Scene,
    laws: Vec<Box<dyn Law>>,
    violation: Option<Violation>,
}

/// Where steps are recorded. Cheap to clone.
#[derive(Clone)]
pub struct History {
    origin: Origin,
    inner: Arc<Mutex<Inner>>,
    broken: Arc<Notify>,
}

impl History {
    /// An empty one that keeps the last `keep` lines and holds these laws.
    pub fn new(origin: Origin, keep: usize, laws: Vec<Box<dyn Law>>) -> Self {
        let inner = Inner {
            steps: 0,
            hash: Sha256::new(),
            last: VecDeque::new(),
            keep,
            scene: Scene::default(),
            laws,
            violation: None,
        };
        Self { origin, inner: Arc::new(Mutex::new(inner)), broken: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a step and checks the laws. After a law was broken nothing more is recorded.
    pub fn step(&self, part: Part, event: Event) {
        let mut inner = self.lock();
        if inner.violation.is_some() {
            return;
        }
        let step = Step { number: inner.steps, at: self.origin.elapsed(), part, event };
        inner.steps += 1;
        let line = step.to_string();
        inner.hash.update(line.as_bytes());
        inner.hash.update(b"\n");
        if inner.last.len() >= inner.keep {
            inner.last.pop_front();
        }
        inner.last.push_back(line);
        let Inner { scene, laws, steps, violation, .. } = &mut *inner;
        scene.take(&step, self.origin.true_time());
        let full = step.number % IN_FULL == IN_FULL - 1;
        for law in laws {
            let held = law.on(&step, scene).and_then(|()| if full { law.in_full(scene) } else { Ok(()) });
            if let Err(what) = held {
                *violation = Some(Violation { law: law.name(), step: *steps - 1, what });
                self.broken.notify_one();
                return;
            }
        }
    }

    /// Something is wrong with the run itself, or with a part that should be gone.
    pub fn fail(&self, law: &'static str, what: String) {
        let mut inner = self.lock();
        let step = inner.steps;
        inner.violation.get_or_insert(Violation { law, step, what });
        self.broken.notify_one();
    }

    /// Checks every law at the end of the run.
    pub fn end(&self) {
        let mut inner = self.lock();
        let Inner { scene, laws, steps, violation, .. } = &mut *inner;
        for law in laws {
            if violation.is_none()
                && let Err(what) = law.in_full(scene).and_then(|()| law.at_end(scene))
            {
                *violation = Some(Violation { law: law.name(), step: *steps, what });
            }
        }
    }

    /// Resolves when a law was broken.
    pub async fn broken(&self) {
        self.broken.notified().await;
    }

    /// How many steps there were, their hash, the last lines, and the law that was broken.
    pub fn outcome(&self) -> (u64, [u8; 32], Vec<String>, Option<Violation>) {
        let inner = self.lock();
        let hash = inner.hash.clone().finalize().into();
        (inner.steps, hash, inner.last.iter().cloned().collect(), inner.violation.clone())
    }

    /// Looks at what is known of the cluster.
    pub fn scene<T>(&self, look: impl FnOnce(&Scene) -> T) -> T {
        look(&self.lock().scene)
    }
}

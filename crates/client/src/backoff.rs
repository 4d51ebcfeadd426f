//! How long to wait before trying again.

use std::sync::Arc;
use std::time::Duration;

use drover_world::{Entropy, unit};

/// Waits that double from a minimum to a maximum, each shortened by up to half at random, so that what failed
/// together does not come back together.
#[derive(Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    entropy: Arc<dyn Entropy>,
}

impl Backoff {
    /// Begins at `min`, never waits longer than `max`.
    pub fn new(min: Duration, max: Duration, entropy: Arc<dyn Entropy>) -> Self {
        Self { min, max, failures: 0, entropy }
    }

    /// How long to wait after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        let delay = delay(self.min, self.max, self.failures, &*self.entropy);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The wait after so many failures before this one.
pub(crate) fn delay(min: Duration, max: Duration, failures: u32, entropy: &dyn Entropy) -> Duration {
    let full = 2_u32.checked_pow(failures).and_then(|factor| min.checked_mul(factor)).unwrap_or(max).min(max);
    full.mul_f64(0.5 + unit(entropy) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_and_lose_at_most_half() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max, Arc::new(drover_world::SystemEntropy));
        for full in [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let delay = backoff.next_delay();
            assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
        }
        for _ in 0..100 {
            assert!(backoff.next_delay() <= max);
        }
        backoff.reset();
        assert!(backoff.next_delay() <= min);
    }
}

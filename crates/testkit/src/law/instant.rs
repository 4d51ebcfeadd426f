//! Time goes on: what answers itself without end would never let it.

use std::time::Duration;

use crate::law::{Breach, Law, Scene};
use crate::step::Step;

/// How many steps there may be at one instant. A server of 500 nodes that starts anew takes fewer.
const STEPS: u32 = 100_000;

#[derive(Default)]
pub(super) struct Instant {
    at: Duration,
    steps: u32,
}

impl Law for Instant {
    fn name(&self) -> &'static str {
        "an_instant_ends"
    }

    fn on(&mut self, step: &Step, _: &Scene) -> Result<(), Breach> {
        if self.at != step.at {
            *self = Self { at: step.at, steps: 0 };
        }
        self.steps += 1;
        if self.steps <= STEPS {
            Ok(())
        } else {
            Err(format!("{STEPS} steps, and it is still {:?}", self.at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Event, Part};

    #[test]
    fn what_goes_round_and_round_at_one_instant_breaks_it() {
        let (mut law, scene) = (Instant::default(), Scene::default());
        let mut step = |at| {
            let step = Step { number: 0, at, part: Part::World, event: Event::Quiet };
            law.on(&step, &scene)
        };
        for seconds in 0..2 {
            for _ in 0..STEPS {
                assert_eq!(step(Duration::from_secs(seconds)), Ok(()));
            }
        }
        assert!(step(Duration::from_secs(1)).is_err());
    }
}

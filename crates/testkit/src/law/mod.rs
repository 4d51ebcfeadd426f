//! The laws that hold at every step, and what they look at.
//!
//! A law sees each step as it happens, and keeps what it needs of it; it looks at everything again every 1,000 steps and
//! at the end. One file each.

mod acknowledged;
mod converged;
mod exit_code;
mod finished;
mod forbid;
mod instant;
mod lists;
mod moved;
mod mutex;
mod placed;
mod punctual;
mod replicas;
mod reported;
mod scene;
mod tick_once;
mod tracked;
mod watches;

pub use scene::{Object, Scene, name_in, prefix};

use crate::step::Step;

/// Why a law does not hold, in words.
pub type Breach = String;

/// Something that must hold in every run.
pub trait Law: Send {
    /// What it says, as the name of a test would.
    fn name(&self) -> &'static str;

    /// Looks at a step. `scene` has taken it already.
    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach>;

    /// Looks at everything.
    fn in_full(&mut self, _: &Scene) -> Result<(), Breach> {
        Ok(())
    }

    /// Looks at everything after the quiet time, when nothing is under way any more.
    fn at_end(&mut self, _: &Scene) -> Result<(), Breach> {
        Ok(())
    }
}

/// All of them, as they are before the first step.
pub fn all() -> Vec<Box<dyn Law>> {
    vec![
        Box::new(acknowledged::Acknowledged::default()),
        Box::new(exit_code::ExitCode::default()),
        Box::new(finished::Finished::default()),
        Box::new(forbid::Forbid),
        Box::new(instant::Instant::default()),
        Box::new(lists::Lists::default()),
        Box::new(moved::Moved),
        Box::new(mutex::Mutex),
        Box::new(punctual::Punctual),
        Box::new(replicas::Replicas),
        Box::new(tick_once::TickOnce::default()),
        Box::new(watches::Watches::default()),
        Box::new(converged::Converged::default()),
        Box::new(placed::Placed),
        Box::new(reported::Reported::default()),
        Box::new(tracked::Tracked::default()),
    ]
}

//! The rules of each kind, one file per kind: defaults, validity, and what may change later.

mod assignment;
mod bounds;
mod config;
pub mod cron;
mod host;
pub(crate) mod metadata;
pub mod names;
mod node_pool;
pub mod params;
mod placement;
mod service;
mod service_account;
mod task;
mod template;
mod timer;

pub use params::resolve_params;
pub use task::frozen_changes;

use crate::{FieldError, ObjectMeta};

/// What a kind adds to its shape.
pub(crate) trait Rules {
    /// Its metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// Fills in what is absent and has a default.
    fn fill_defaults(&mut self) {}
    /// Checks everything but metadata.
    fn check(&self, errors: &mut Vec<FieldError>);
    /// Checks what may not change.
    fn check_update(&self, _old: &Self, _errors: &mut Vec<FieldError>) {}
}

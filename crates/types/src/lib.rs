//! The kinds of Drover: their spec and status, defaulting, validation and schemas.
//!
//! Absent on purpose: async, I/O, a clock, randomness. Everything here is a value or a pure function,
//! so that the server, the node and the command line agree by construction.

pub mod admit;
pub mod call;
pub mod duplicate_keys;
pub mod duration;
pub mod field;
pub mod kind;
pub mod kinds;
pub mod meta;
mod micro_time;
pub mod not_built;
pub mod quantity;
pub mod references;
pub mod schema;
pub mod selector;
mod shape;
pub mod status;
pub mod substitute;
pub mod validate;

pub use admit::{Admitted, admit};
pub use duration::Duration;
pub use field::{FieldError, FieldErrorKind, FieldPath};
pub use kind::{Kind, Scope};
pub use meta::{Condition, ConditionStatus, ObjectMeta, OwnerReference};
pub use not_built::not_built_kind;
pub use quantity::Quantity;
pub use status::Status;

/// The API group of Drover's own kinds.
pub const GROUP: &str = "drover.dev";
/// The version of [`GROUP`] that this build serves.
pub const VERSION: &str = "v1";
/// `apiVersion` of Drover's own kinds.
pub const API_VERSION: &str = "drover.dev/v1";

//! What a patch or a server-side apply makes of an object, and who owns which of its fields. Pure functions of JSON
//! values: time is an argument, and no input makes one panic.
//!
//! # How a server uses it
//!
//! One [`Shape`] per kind, made once: [`Shape::from_schema`] from its JSON schema or OpenAPI component, with
//! [`Shape::with_core_lists`] for a core kind; [`Shape::untyped`] where there is no schema. What comes in is at most 128
//! levels deep, as JSON readers bound it.
//!
//! | request | next state |
//! |---|---|
//! | `POST`, `PUT` | the body |
//! | `application/json-patch+json` | [`json_patch::apply`] to the whole stored object, `resourceVersion` and `managedFields` in it |
//! | `application/merge-patch+json` | [`merge_patch::apply`] to the same |
//! | `application/strategic-merge-patch+json` | [`strategic::apply`] to the same |
//! | `application/apply-patch+yaml` | [`apply::apply_settled`], which returns the managed fields with it |
//!
//! All but the apply then go the way of a `PUT`: address check, server-owned metadata (keep `managedFields` as the body
//! has it), admission with defaults, and last [`update::update`], which puts `metadata.managedFields` right.
//!
//! What the apply returns as changed or created goes through address check, metadata and admission as it is, and is not
//! given to `update`: its `managedFields` are final, and where it has none, the stored ones go. What `settle` is asked for
//! is what that admission would make.
//!
//! Either way, [`update::is_no_change`] of the stored and the next state says that there is nothing to write, and then
//! the stored one is the answer: an admission may write a value in another way than the client did.
//!
//! A write that loses a race is made again from the newer state. A dry run is the same without the store.
//! Errors say in their documentation with which code they are answered; the body of a 409 is [`conflict::Conflicts`]:
//! its text, and [`conflict::Conflicts::causes`] with [`conflict::CAUSE_REASON`].
//!
//! # What it follows
//!
//! Field sets, conflicts, shared ownership, pruning, the cap on update managers, the entry for what was there before the
//! first apply and the bridge for kubectl are those of the Kubernetes API server, with five differences. An item of a list
//! by key in which somebody else owns a field is kept with it, and with its key fields. Items and map entries that nobody
//! owns are kept when the last owner of what is beside them leaves, unless a block goes as a whole. A null that a
//! configuration sets owns its field and empties it, and is not stored. A value that is stored in another way than it
//! was written is the same value. What [`DROVER`] updated before counts as applied by it, and what nobody is known to have
//! written is not in its way: so objects move from its older applies to those on the server.
//!
//! # Absent
//!
//! Conversion between versions: all versions of a kind name their fields alike. `/scale`: a write through it is an
//! [`update::update`] of the parent with [`Endpoint::Other`]; the ownership of `spec.replicas` is not shown on the Scale
//! itself. Ownership is not rewritten when a list changes between one value and items. Checks of kind, name, namespace,
//! preconditions, of the length of `fieldManager`, and of anything that a schema says of values: they are the server's.

pub mod apply;
mod compare;
pub mod conflict;
pub mod fields;
pub mod json_patch;
mod kubectl;
pub mod managers;
pub mod merge_patch;
mod merged;
mod ownership;
mod prune;
mod shape;
pub mod strategic;
mod time;
pub mod update;
mod upgrade;
mod value;

pub use kubectl::{LAST_APPLIED, MANAGER as KUBECTL};
pub use ownership::{Endpoint, Request};
pub use shape::Shape;
pub use upgrade::MANAGER as DROVER;
pub use value::{Scalar, drop_nulls};

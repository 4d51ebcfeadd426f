//! The apiserver: stores intent and serves it, over the Kubernetes paths and verbs.
//!
//! [`Server::start`] over a store, then [`Server::serve`] on a listener (TLS), or [`Server::serve_connection`] on
//! anything that reads and writes. Reads and watches come from the store's watch cache; a write is one guarded
//! transaction. It stores what is wanted and decides nothing: ownership cascades, placement and readiness are the
//! reconciler's.
//!
//! Absent: RBAC (a ServiceAccount has a role by an annotation); pods and their subresources; kinds that users define; certificates of the operator's own.

mod accounts;
mod admission;
mod answer;
mod apply;
pub mod backup;
mod backup_route;
mod body;
mod change;
mod compress;
mod content;
mod create;
mod credentials;
mod delete;
mod discovery;
mod error;
mod events;
mod fields;
mod history;
mod identity;
mod invoke;
mod json;
mod keys;
mod labels;
mod list;
mod metrics;
mod negotiate;
mod new_token;
mod objects;
mod openapi;
mod owners;
mod ownership;
mod patch;
mod patience;
mod pki;
mod prepare;
mod presenter;
mod preview;
mod protobuf;
mod query;
mod reviews;
mod routes;
mod scale;
mod server;
mod sessions;
mod started;
mod streams;
mod target;
mod tombstones;
mod verbs;
mod wanted;
mod watch;

pub use body::MAX_BODY;
/// The field manager of `drover apply`: what it updated before it applied on the server counts as applied by it.
pub use drover_patch::DROVER as APPLIER;
pub use error::ApiError;
pub use identity::AdminError;
pub use pki::PkiError;
pub use preview::Preview;
pub use server::{Server, ServerOptions, StartError};

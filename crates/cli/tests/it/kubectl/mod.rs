//! Every kubectl there is, against the real server over TLS.
//!
//! Driven are the ones that lie beside the `kubectl` of the PATH as `kubectl.1.NN`, that one itself if there are none, and
//! Debian's, which `cargo xtask needs` unpacks.

mod accounts;
mod events;
pub(crate) mod found;
mod reading;
mod scaling;
mod writing;

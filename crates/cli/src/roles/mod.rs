//! The roles that `drover` plays for as long as it runs: server, agent, and both at once for a first look.

pub(crate) mod agent;
mod control_plane;
pub(crate) mod dev;
mod feed;
mod in_process;
mod kubeconfig_file;
mod local_agent;
mod logging;
pub(crate) mod server;
mod settled;
mod signals;

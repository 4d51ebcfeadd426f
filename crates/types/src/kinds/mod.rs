//! One file per kind: its spec and its status.

pub mod assignment;
pub mod core;
pub mod node_pool;
pub mod placement;
pub mod run;
pub mod service;
pub mod service_account;
pub mod task;
pub mod template;
pub mod timer;

pub use assignment::Assignment;
pub use core::{ConfigMap, Event, Lease, Namespace, Node, Secret};
pub use node_pool::NodePool;
pub use run::Run;
pub use service::Service;
pub use service_account::ServiceAccount;
pub use task::Task;
pub use timer::Timer;

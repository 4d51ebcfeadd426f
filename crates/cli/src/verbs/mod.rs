//! One file per verb.

pub(crate) mod apply;
pub(crate) mod backup;
pub(crate) mod completion;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod kubeconfig;
pub(crate) mod label;
pub(crate) mod lint;
pub(crate) mod logs;
pub(crate) mod patch;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod token;
pub(crate) mod trigger;
pub(crate) mod version;
pub(crate) mod wait;

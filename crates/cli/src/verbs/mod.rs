//! One file per verb.

pub(crate) mod apply;
pub(crate) mod completion;
pub(crate) mod delete;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod lint;
pub(crate) mod version;

//! One file per verb.

pub(crate) mod completion;
pub(crate) mod explain;
pub(crate) mod lint;
pub(crate) mod version;

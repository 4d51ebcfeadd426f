//! Why a key could not be brought to where it should be.

/// A failure; the key is tried again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server said no, or nothing was heard of it.
    #[error(transparent)]
    Client(#[from] drover_client::Error),
    /// A node that was taken for silent is not.
    #[error("node {0} is heard of again")]
    NodeSpoke(String),
    /// The name of an Assignment is taken by one of another workload.
    #[error("the name {0} is taken by an object of another workload")]
    Namesake(String),
    /// What had the name of an Assignment was gone when it was looked at.
    #[error("the name {0} was taken and is free again")]
    Freed(String),
    /// A status cannot be written as JSON.
    #[error("a status cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
}

impl Error {
    /// Whether it only means that the local copy was late.
    pub(crate) fn is_expected(&self) -> bool {
        match self {
            Self::Client(error) => error.is_conflict() || error.is_not_found(),
            Self::NodeSpoke(_) | Self::Freed(_) => true,
            Self::Namesake(_) | Self::Encode(_) => false,
        }
    }

    /// Whether other writes would fail like this one.
    pub(crate) fn is_general(&self) -> bool {
        match self {
            Self::Client(error) => error.is_transient() || error.is_unauthorized(),
            Self::NodeSpoke(_) | Self::Namesake(_) | Self::Freed(_) | Self::Encode(_) => false,
        }
    }
}

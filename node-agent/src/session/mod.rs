//! The one session with the server: opened again and again, for as long as the agent runs.
//!
//! Everything that it carries is in the loop and on disk; a session may break at any instant. Nothing here decides
//! what runs.

mod frames;
mod open;
mod output;
mod serve;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_client::{Backoff, Client};
use drover_world::World;

use crate::handle::Handle;
use crate::host::Host;
use crate::machine::Machine;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Between two tries of a node that the server refuses, and between two errors in the log about it.
const REFUSED_RETRY: Duration = Duration::from_secs(60);
const REFUSED_LAST_RETRY: Duration = Duration::from_secs(600);
/// The longest that a server may ask to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Everything that a session needs.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) handle: Handle,
    pub(crate) node_name: String,
    pub(crate) node_uid: String,
    pub(crate) boot_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) world: World,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) machine: Arc<dyn Machine>,
}

/// Why there will be no more sessions.
pub(crate) enum Ended {
    /// The loop is over.
    Stopped,
    /// The server does not accept the credential.
    NotKnown,
}

/// Why one session is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection, or the request for it.
    #[error(transparent)]
    Client(#[from] drover_client::Error),
    /// The server does not speak this wire.
    #[error(transparent)]
    Wire(#[from] drover_wire::WireError),
    /// It speaks it and says what makes no sense.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// Nothing was heard for too long.
    #[error("nothing was heard of the server for {0:?}")]
    Silent(Duration),
    /// The server ended it.
    #[error("the server ended the session: {reason}")]
    Closed { reason: String, retry_after: Option<Duration> },
    /// The connection is gone, without a word.
    #[error("the connection ended")]
    Gone,
    /// The loop could not do what was asked, or is over.
    #[error(transparent)]
    Agent(#[from] crate::handle::AgentError),
}

impl Broken {
    /// When the server asked to be tried again, within reason.
    fn retry_after(&self) -> Option<Duration> {
        let asked = match self {
            Self::Closed { retry_after, .. } => *retry_after,
            Self::Client(error) => error.retry_after(),
            _ => None,
        };
        asked.map(|after| after.min(LONGEST_ASKED))
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Client(error) if error.api().is_some_and(|api| matches!(api.status.code, 401 | 403)))
    }
}

/// Holds sessions, one after the other. A refused credential ends it if the host `may_join` anew, else it is tried
/// again, slowly.
pub(crate) async fn hold(session: &Session, may_join: bool) -> Ended {
    let entropy = || Arc::clone(&session.world.entropy);
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY, entropy());
    let mut refused = Backoff::new(REFUSED_RETRY, REFUSED_LAST_RETRY, entropy());
    loop {
        let broken = match open::open(session).await {
            Ok(opened) => {
                tracing::info!(node = session.node_name, "the session with the server is on");
                backoff.reset();
                refused.reset();
                serve::serve(session, opened).await
            }
            Err(broken) => broken,
        };
        if matches!(broken, Broken::Agent(crate::handle::AgentError::Stopped)) {
            return Ended::Stopped;
        }
        if broken.is_refusal() && may_join {
            tell(&broken, "the server refuses this node's credential");
            return Ended::NotKnown;
        }
        let wait = if broken.is_refusal() {
            tell(&broken, "the server refuses this node's credential, and there is no join token");
            refused.next_delay()
        } else {
            tell(&broken, "there is no session with the server");
            backoff.next_delay().max(broken.retry_after().unwrap_or_default())
        };
        tokio::time::sleep(wait).await;
    }
}

fn tell(broken: &Broken, what: &'static str) {
    let error = broken as &dyn std::error::Error;
    if broken.is_refusal() {
        tracing::error!(error, "{what}; what it was told goes on");
    } else {
        tracing::warn!(error, "{what}; what it was told goes on");
    }
}

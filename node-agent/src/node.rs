//! The agent whole: the lock, the keeper program, the credential, the loop and its session.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drover_client::{Backoff, ConfigError};
use drover_wire::{JoinRequest, JoinResponse};
use drover_world::{Disk, RealDisk, World};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::config::{Config, SEARCH_PATH};
use crate::credential::Credential;
use crate::handle::{AgentError, Handle};
use crate::host::{Host, RealHost};
use crate::host_id;
use crate::join::{self, JoinError, ServerAddress};
use crate::lock::LockError;
use crate::machine::{Machine, RealMachine};
use crate::session::{self, Ended, Session};

const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How often a data directory that somebody else has is tried again, and after which time each.
const LOCK_TRIES: u32 = 30;
const LOCK_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// How an agent is set up.
pub struct NodeOptions {
    /// Where its server is.
    pub server: ServerAddress,
    /// The node's name.
    pub node_name: String,
    /// Where all its state lies; made with mode 0700.
    pub data_dir: PathBuf,
    /// `PATH` of every run that sets none of its own; the agent's own one, so that what its operator can start by name
    /// a run can, too.
    pub search_path: String,
    /// Lets the host join, when it has no credential or the server no longer knows it.
    pub join_token: Option<String>,
    /// A credential from elsewhere, for a server's own node; used instead of a stored one, and not stored.
    pub credential: Option<JoinResponse>,
    /// Labels for the Node when it is first created.
    pub labels: BTreeMap<String, String>,
    /// Time and randomness.
    pub world: World,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The host's processes; absent: real ones, with the embedded keeper.
    pub host: Option<Arc<dyn Host>>,
    /// The host itself.
    pub machine: Arc<dyn Machine>,
}

impl NodeOptions {
    /// An agent of the real world, without credential, token or labels.
    pub fn new(server: ServerAddress, node_name: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            server,
            node_name: node_name.into(),
            // A keeper has a working directory of its own. One that has none to be absolute by stays as it is.
            data_dir: std::path::absolute(&data_dir).unwrap_or(data_dir),
            search_path: std::env::var("PATH").unwrap_or_else(|_| SEARCH_PATH.to_owned()),
            join_token: None,
            credential: None,
            labels: BTreeMap::new(),
            world: World::system(),
            disk: Arc::new(RealDisk),
            host: None,
            machine: Arc::new(RealMachine),
        }
    }
}

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file in the data directory cannot be used.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent runs on the data directory.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// There is neither a credential nor a join token.
    #[error("this host has not joined yet: there is no credential in {0} and no join token was given")]
    NotJoined(PathBuf),
    /// The data directory belongs to another node.
    #[error("{data_dir} is the data directory of node {stored:?}, not of {given:?}")]
    OtherNode {
        /// The directory.
        data_dir: PathBuf,
        /// Whose it is.
        stored: String,
        /// Whose it was said to be.
        given: String,
    },
    /// Joining failed for good.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The server's address is not one.
    #[error(transparent)]
    Address(#[from] ConfigError),
    /// The loop ended.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// Runs a node's agent until `shutdown` resolves. Its processes go on; the next start finds them. With a credential it
/// starts whether or not the server can be reached, and does what it was told last.
pub async fn run_node(options: NodeOptions, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
    tokio::pin!(shutdown);
    let file = |source| NodeError::File { path: options.data_dir.clone(), source };
    options.disk.create_dir(&options.data_dir, 0o700).map_err(file)?;
    let _lock = tokio::select! {
        biased;
        () = &mut shutdown => return Ok(()),
        lock = lock(&options) => lock?,
    };
    let host = match &options.host {
        Some(host) => Arc::clone(host),
        None => Arc::new(RealHost::installing(&options.data_dir).map_err(file)?),
    };
    let boot_id = options.machine.boot_id().map_err(file)?;
    let mut credential = tokio::select! {
        biased;
        () = &mut shutdown => return Ok(()),
        credential = find_credential(&options) => credential?,
    };
    let mut rejoin = Backoff::new(FIRST_RETRY, LAST_RETRY * 5, Arc::clone(&options.world.entropy));
    loop {
        let config = Config {
            node_name: options.node_name.clone(),
            node_uid: credential.node_uid.clone(),
            boot_id: boot_id.clone(),
            data_dir: options.data_dir.clone(),
            search_path: options.search_path.clone(),
        };
        let (agent, handle) =
            Agent::open(config, options.world.clone(), Arc::clone(&options.disk), Arc::clone(&host))?;
        let (stop, stopped) = oneshot::channel::<()>();
        // A task of its own: while the loop waits for the disk, the session is heard. Dropped, it goes with this future.
        let mut running = JoinSet::new();
        running.spawn(agent.run(async move { drop(stopped.await) }));
        let session = Connection { handle, host: Arc::clone(&host), boot_id: boot_id.clone() };
        let session = hold_session(&options, &mut credential, &mut rejoin, &session);
        let again = tokio::select! {
            biased;
            () = &mut shutdown => false,
            ended = ended(&mut running) => return Ok(ended?),
            outcome = session => { outcome?; true }
        };
        // The loop alone has state, and ends when it is told to.
        drop(stop);
        ended(&mut running).await?;
        if !again {
            return Ok(());
        }
        tracing::info!(uid = credential.node_uid, "the host has joined anew, as another node");
    }
}

/// Waits for the loop to end. A panic in it is one here.
async fn ended(running: &mut JoinSet<Result<(), AgentError>>) -> Result<(), AgentError> {
    match running.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(AgentError::Stopped),
        },
        None => Err(AgentError::Stopped),
    }
}

/// Makes the data directory this agent's. One that was killed may hold it for a moment longer, by a child that it was
/// about to start.
async fn lock(options: &NodeOptions) -> Result<Box<dyn Any + Send>, LockError> {
    let mut tries = 0;
    loop {
        match options.machine.lock(&options.data_dir) {
            Err(LockError::Held { .. }) if tries < LOCK_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCK_RETRY).await;
            }
            locked => return locked,
        }
    }
}

/// The credential given, or stored, or gained by joining; waits for the server as long as it takes.
async fn find_credential(options: &NodeOptions) -> Result<Credential, NodeError> {
    if let Some(given) = &options.credential {
        return Ok(Credential {
            node_name: options.node_name.clone(),
            node_uid: given.node_uid.clone(),
            server: String::new(),
            ca_pem: String::new(),
            token: given.token.clone(),
        });
    }
    let file = |source| NodeError::File { path: options.data_dir.join("credential"), source };
    if let Some(stored) = Credential::load(&*options.disk, &options.data_dir).map_err(file)? {
        if stored.node_name != options.node_name {
            return Err(NodeError::OtherNode {
                data_dir: options.data_dir.clone(),
                stored: stored.node_name,
                given: options.node_name.clone(),
            });
        }
        return Ok(stored);
    }
    let Some(token) = &options.join_token else {
        return Err(NodeError::NotJoined(options.data_dir.clone()));
    };
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY, Arc::clone(&options.world.entropy));
    loop {
        match try_join(options, token).await {
            Ok(credential) => {
                credential.store(&*options.disk, &options.data_dir).map_err(file)?;
                return Ok(credential);
            }
            Err(NodeError::Join(error)) if error.is_transient() => {
                let wait = backoff.next_delay();
                tracing::warn!(error = &error as &dyn std::error::Error, ?wait, "not joined yet");
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Shows the token and the host's id, which is on disk before it is shown: if all after that is lost, the host can join
/// again.
async fn try_join(options: &NodeOptions, token: &str) -> Result<Credential, NodeError> {
    let file = |source| NodeError::File { path: options.data_dir.join(host_id::NAME), source };
    let host_id = host_id::load_or_make(&*options.disk, &options.world, &options.data_dir).map_err(file)?;
    let request = JoinRequest { host_id, labels: options.labels.clone() };
    Ok(join::join((&options.server, &options.world.entropy), &options.node_name, token, &request).await?)
}

/// What of a session does not change when the credential does.
struct Connection {
    handle: Handle,
    host: Arc<dyn Host>,
    boot_id: String,
}

/// Holds sessions for ever; returns when the host has become another node by joining again.
async fn hold_session(
    options: &NodeOptions,
    credential: &mut Credential,
    rejoin: &mut Backoff,
    connection: &Connection,
) -> Result<(), NodeError> {
    loop {
        let session = Session {
            client: join::client(&options.server, credential, &options.world.entropy)?,
            handle: connection.handle.clone(),
            node_name: options.node_name.clone(),
            node_uid: credential.node_uid.clone(),
            boot_id: connection.boot_id.clone(),
            labels: options.labels.clone(),
            world: options.world.clone(),
            host: Arc::clone(&connection.host),
            machine: Arc::clone(&options.machine),
        };
        match (session::hold(&session, options.join_token.is_some()).await, &options.join_token) {
            (Ended::Stopped, _) => return Err(AgentError::Stopped.into()),
            (Ended::NotKnown, None) => {}
            (Ended::NotKnown, Some(token)) => {
                let joined = join_anew(options, token, rejoin).await;
                let another = joined.node_uid != credential.node_uid;
                *credential = joined;
                if another {
                    return Ok(());
                }
            }
        }
    }
}

/// Joins once more, however long it takes: what the node was told last goes on meanwhile.
async fn join_anew(options: &NodeOptions, token: &str, rejoin: &mut Backoff) -> Credential {
    loop {
        // A server that lets hosts join and refuses their sessions is not asked in a frenzy.
        tokio::time::sleep(rejoin.next_delay()).await;
        match try_join(options, token).await {
            Ok(joined) => {
                if options.credential.is_none()
                    && let Err(error) = joined.store(&*options.disk, &options.data_dir)
                {
                    tracing::error!(%error, "the new credential is not on disk: the next start joins once more");
                }
                return joined;
            }
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the server does not know this node any more, and it cannot join anew"
            ),
        }
    }
}

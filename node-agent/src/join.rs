//! Becoming a node: the join token is shown once, to a server whose CA the token pins.

use std::sync::Arc;

use drover_client::{Client, ClientConfig, ConfigError, Dial, PinnedDial, WrongPin, segment};
use drover_wire::{JoinRequest, JoinResponse, join_path};
use drover_world::Entropy;

use crate::credential::Credential;

/// Where the server is.
#[derive(Clone)]
pub enum ServerAddress {
    /// Over the network.
    Remote {
        /// Its `https://` URL.
        url: String,
    },
    /// In this process, or wherever else these connections lead.
    InProcess(Arc<dyn Dial>),
}

/// Why the host has not become a node.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The server's URL, or the token, is not one.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The token has no pin.
    #[error("the join token is not one: it has to be drn_<secret>.<SHA-256 of the CA>")]
    Token,
    /// The server is not the one that the token is for.
    #[error("refusing to join at this server")]
    WrongServer(#[source] WrongPin),
    /// The server said no.
    #[error("the server refuses to let this host join")]
    Refused(#[source] drover_client::Error),
    /// The server does not know the token, or knows it no more.
    #[error("the server does not take this join token (`drover token create node` makes another)")]
    BadToken(#[source] drover_client::Error),
    /// Nothing was heard of the server; it may come.
    #[error("the server cannot be reached to join")]
    Unreachable(#[source] drover_client::Error),
}

impl JoinError {
    /// Whether the same may succeed later without a change.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Config(_) | Self::Token | Self::WrongServer(_) | Self::Refused(_) | Self::BadToken(_) => {
                false
            }
        }
    }
}

/// Shows the token; what comes back is not stored yet.
pub(crate) async fn join(
    (server, entropy): (&ServerAddress, &Arc<dyn Entropy>),
    node_name: &str,
    token: &str,
    request: &JoinRequest,
) -> Result<Credential, JoinError> {
    let (client, pinned, url) = match server {
        ServerAddress::InProcess(dial) => (Client::new(Arc::clone(dial), "localhost")?, None, String::new()),
        ServerAddress::Remote { url } => {
            let (_, pin) = token.split_once('.').ok_or(JoinError::Token)?;
            let config = ClientConfig::from_url(url, Vec::new(), None)?;
            let dial = Arc::new(PinnedDial::new(&config.host, config.port, &config.server_name, pin)?);
            let client = Client::new(dial.clone(), &config.authority())?;
            (client, Some(dial), url.clone())
        }
    };
    let client = client.with_token(token)?.with_entropy(Arc::clone(entropy));
    let answer: JoinResponse = client.create(&join_path(&segment(node_name)), request).await.map_err(why)?;
    Ok(Credential {
        node_name: node_name.to_owned(),
        node_uid: answer.node_uid,
        server: url,
        ca_pem: pinned.and_then(|dial| dial.ca_pem()).unwrap_or_default(),
        token: answer.token,
    })
}

fn why(error: drover_client::Error) -> JoinError {
    match WrongPin::behind(&error) {
        Some(wrong) => JoinError::WrongServer(wrong.clone()),
        None if error.is_transient() => JoinError::Unreachable(error),
        None if error.api().is_some_and(|api| api.status.code == 401) => JoinError::BadToken(error),
        None => JoinError::Refused(error),
    }
}

/// Talks to the server as the node.
pub(crate) fn client(
    server: &ServerAddress,
    credential: &Credential,
    entropy: &Arc<dyn Entropy>,
) -> Result<Client, ConfigError> {
    let client = match server {
        ServerAddress::InProcess(dial) => {
            Client::new(Arc::clone(dial), "localhost")?.with_token(&credential.token)?
        }
        ServerAddress::Remote { url } => {
            let ca = credential.ca_pem.clone().into_bytes();
            Client::from_config(&ClientConfig::from_url(url, ca, Some(credential.token.clone()))?)?
        }
    };
    Ok(client.with_entropy(Arc::clone(entropy)))
}

//! What a WebSocket fan-out over TLS allows: a process that tells each of its subscribers what its publisher says, and
//! does nothing else. What is waiting is written before each flush.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use drover_client::{Client, TlsDial, WebSocketSender};
use futures_util::{SinkExt as _, StreamExt as _};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::processes::Running;

/// Messages that may wait for one subscriber.
const WAITING: usize = 4096;
const PUBLISH: &str = "/publish";

/// A certificate for loopback, and its key.
pub(crate) struct Identity {
    pub(crate) ca_pem: String,
    certificate: rustls_pki_types::CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    /// Makes one: P-256, as the product's are.
    pub(crate) fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.self_signed(&key)?;
        Ok(Self {
            ca_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        })
    }

    /// A server that shows it.
    pub(crate) fn server_config(&self) -> Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key.into())?)
    }
}

/// The process of its own, seen from its driver.
pub(crate) struct Fanout {
    _process: Running,
    pub(crate) client: Client,
}

impl Fanout {
    /// Starts it.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["fanout", "--dir"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let told = child.stdout.take().context("a child without stdout")?;
        let process = Running::of(child);
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut line)?;
        let port: u16 = line.trim().parse().context("the fan-out server says no port")?;
        let ca = std::fs::read(dir.join("fanout.pem"))?;
        let dial = TlsDial::new("127.0.0.1", port, "127.0.0.1", &ca)?;
        let client = Client::new(Arc::new(dial), &format!("127.0.0.1:{port}"))?;
        Ok(Self { _process: process, client })
    }

    /// The one that publishes.
    pub(crate) async fn publisher(&self) -> Result<WebSocketSender> {
        let (sender, mut receiver) = self.client.open_websocket(PUBLISH, &[]).await?.split();
        tokio::spawn(async move { while let Ok(Some(_)) = receiver.next().await {} });
        Ok(sender)
    }
}

/// What runs in the process of its own: prints its port, and serves until it is killed.
pub(crate) fn serve(dir: &Path) -> Result<()> {
    let dir: PathBuf = dir.to_owned();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async move {
        let identity = Identity::new()?;
        std::fs::write(dir.join("fanout.pem"), &identity.ca_pem)?;
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let (publish, _) = broadcast::channel(WAITING);
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            tokio::spawn(connection(acceptor.clone(), tcp, publish.clone()));
        }
    })
}

async fn connection(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    publish: broadcast::Sender<Utf8Bytes>,
) -> Result<()> {
    let mut publishes = false;
    #[allow(clippy::result_large_err, reason = "the library's own signature")]
    let path = |request: &Request, answer: Response| -> Result<Response, ErrorResponse> {
        publishes = request.uri().path() == PUBLISH;
        Ok(answer)
    };
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    let stream = acceptor.accept(tcp).await?;
    let mut socket = tokio_tungstenite::accept_hdr_async_with_config(stream, path, Some(config)).await?;
    if publishes {
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message? {
                // Nobody may listen yet.
                let _ = publish.send(text);
            }
        }
        return Ok(());
    }
    let mut told = publish.subscribe();
    loop {
        socket.feed(Message::Text(told.recv().await?)).await?;
        loop {
            match told.try_recv() {
                Ok(text) => socket.feed(Message::Text(text)).await?,
                Err(broadcast::error::TryRecvError::Empty) => break,
                Err(error) => bail!("{error}"),
            }
        }
        socket.flush().await?;
    }
}

//! TLS over TCP, with the cluster's own CA as the only root.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::net::sockopt;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::ConfigError;
use crate::dial::{BoxStream, Dial};
use crate::plain_end::PlainEnd;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that is gone without a word is noticed after about a minute: 30 s of silence, then three probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Opens TLS connections to one address.
pub struct TlsDial {
    host: String,
    port: u16,
    server_name: ServerName<'static>,
    connector: TlsConnector,
    timeout: Duration,
}

impl TlsDial {
    /// Connects to `host:port`, and accepts a certificate for `server_name` that one of `ca_pem` signed.
    pub fn new(host: &str, port: u16, server_name: &str, ca_pem: &[u8]) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            let certificate = certificate.map_err(|error| ConfigError::Ca(error.to_string()))?;
            roots.add(certificate).map_err(|error| ConfigError::Ca(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(ConfigError::Ca("there is no certificate in it".into()));
        }
        let server_name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| ConfigError::ServerName(server_name.to_owned()))?;
        let tls = builder()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self::with_tls(host, port, server_name, tls))
    }

    pub(crate) fn with_tls(
        host: &str,
        port: u16,
        server_name: ServerName<'static>,
        mut tls: rustls::ClientConfig,
    ) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(tls));
        Self { host: host.to_owned(), port, server_name, connector, timeout: HANDSHAKE_TIMEOUT }
    }

    /// Gives connecting and handshake together so long, instead of ten seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn open(&self) -> io::Result<BoxStream> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{}:{}: {error}", self.host, self.port)))?;
        tcp.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&tcp, true)?;
        sockopt::set_tcp_keepidle(&tcp, KEEPALIVE_IDLE)?;
        sockopt::set_tcp_keepintvl(&tcp, KEEPALIVE_INTERVAL)?;
        sockopt::set_tcp_keepcnt(&tcp, KEEPALIVE_PROBES)?;
        Ok(Box::new(PlainEnd(self.connector.connect(self.server_name.clone(), tcp).await?)))
    }
}

/// The provider is named, not taken from the process: a library must not depend on what main installed.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn builder()
-> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, ConfigError> {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Ca(error.to_string()))
}

impl Dial for TlsDial {
    fn dial(&self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            tokio::time::timeout(self.timeout, self.open()).await.unwrap_or_else(|_| {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no TLS connection to {}:{} within {:?}", self.host, self.port, self.timeout),
                ))
            })
        })
    }
}

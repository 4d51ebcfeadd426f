//! TLS for a host that knows its cluster's CA by its hash only, from a join token, and wants to learn the rest.
//!
//! The server sends its CA's certificate with its own. If it has the hash, it becomes the only root by which the
//! server's certificate is verified as always: signature, name, validity.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use futures_util::future::BoxFuture;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use crate::config::ConfigError;
use crate::dial::{BoxStream, Dial};
use crate::error::Error;
use crate::tls::{TlsDial, builder, provider};

/// The server's CA is not the one that the token pins: another cluster's server, or someone in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongPin {
    /// SHA-256 of the CA that is trusted, in hex.
    pub pinned: String,
    /// SHA-256 of each certificate that the server sent after its own, in hex.
    pub sent: Vec<String>,
}

impl fmt::Display for WrongPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = if self.sent.is_empty() { "nothing".to_owned() } else { self.sent.join(", ") };
        write!(f, "the token pins a CA with SHA-256 {}, and the server has sent {sent}", self.pinned)
    }
}

impl std::error::Error for WrongPin {}

impl WrongPin {
    /// The wrong pin behind a failed request, if that is why it failed.
    pub fn behind(error: &Error) -> Option<&Self> {
        let Error::Dial(error) = error else { return None };
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
                other.downcast_ref()
            }
            _ => None,
        }
    }
}

/// Opens TLS connections to a server whose CA is known by its hash.
pub struct PinnedDial {
    tls: TlsDial,
    ca: Arc<OnceLock<CertificateDer<'static>>>,
}

impl PinnedDial {
    /// Connects to `host:port`, and accepts a certificate for `server_name` that was signed by a CA whose certificate
    /// has this SHA-256, in hex.
    pub fn new(host: &str, port: u16, server_name: &str, pin: &str) -> Result<Self, ConfigError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| ConfigError::ServerName(server_name.to_owned()))?;
        if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ConfigError::Ca("the token's part after the dot is not a SHA-256 in hex".into()));
        }
        let ca = Arc::new(OnceLock::new());
        let verifier = Verifier { pin: pin.to_ascii_lowercase(), ca: Arc::clone(&ca), provider: provider() };
        let tls =
            builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(Self { tls: TlsDial::with_tls(host, port, name, tls), ca })
    }

    /// The CA's certificate, once a server has shown it and was accepted.
    pub fn ca_pem(&self) -> Option<String> {
        let text = base64::prelude::BASE64_STANDARD.encode(self.ca.get()?);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        Some(pem)
    }
}

impl Dial for PinnedDial {
    fn dial(&self) -> BoxFuture<'_, std::io::Result<BoxStream>> {
        self.tls.dial()
    }
}

#[derive(Debug)]
struct Verifier {
    pin: String,
    ca: Arc<OnceLock<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

fn hash(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(ca) = intermediates.iter().find(|sent| hash(sent) == self.pin) else {
            let sent = intermediates.iter().map(hash).collect();
            let wrong = WrongPin { pinned: self.pin.clone(), sent };
            return Err(CertificateError::Other(OtherError(Arc::new(wrong))).into());
        };
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let _ = self.ca.set(ca.clone().into_owned());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! Over real TLS on loopback.

use std::sync::Arc;

use drover_client::{Client, ClientConfig, Error, PinnedDial, TlsDial, WrongPin};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::Digest;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate for localhost, and an acceptor with it.
fn identity() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    (made.cert.pem(), acceptor(chain, &made.signing_key))
}

/// A CA, and an acceptor that shows a certificate for localhost, and the CA after it.
fn authority() -> (CertificateDer<'static>, TlsAcceptor) {
    let (ca_key, key) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let ca = params.self_signed(&ca_key).unwrap().der().clone();
    let issuer = rcgen::Issuer::from_ca_cert_der(&ca, ca_key).unwrap();
    let leaf = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().der().clone();
    (ca.clone(), acceptor(vec![leaf, ca], &key))
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn serve(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            let answer = service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(bytes::Bytes::from(
                    "\"hi\"",
                ))))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), answer),
            );
        }
    });
    port
}

#[tokio::test]
async fn a_server_with_the_pinned_ca_is_talked_to_and_no_other() {
    let (ca, acceptor) = identity();
    let (other_ca, _) = identity();
    let port = serve(acceptor).await;
    let client = |ca: &str, name: &str| {
        let mut config =
            ClientConfig::from_url(&format!("https://127.0.0.1:{port}"), ca.into(), None).unwrap();
        config.server_name = name.into();
        Client::from_config(&config).unwrap()
    };
    assert_eq!(client(&ca, "localhost").get::<String>("/").await.unwrap(), "hi");
    assert!(matches!(client(&other_ca, "localhost").get::<String>("/").await, Err(Error::Dial(_))));
    assert!(matches!(client(&ca, "elsewhere").get::<String>("/").await, Err(Error::Dial(_))));
}

#[tokio::test]
async fn a_pinned_ca_is_learned_from_its_server_and_good_from_then_on() {
    let (ca, acceptor) = authority();
    let port = serve(acceptor).await;
    let dial = |name: &str, pin: &str| Arc::new(PinnedDial::new("127.0.0.1", port, name, pin).unwrap());
    let pinned = dial("localhost", &sha256(&ca).to_uppercase());
    assert_eq!(pinned.ca_pem(), None, "nothing is known before a server was seen");
    let client = Client::new(pinned.clone(), "localhost").unwrap();
    assert_eq!(client.get::<String>("/").await.unwrap(), "hi");
    let pem = pinned.ca_pem().unwrap();
    let learned = TlsDial::new("127.0.0.1", port, "localhost", pem.as_bytes()).unwrap();
    let client = Client::new(Arc::new(learned), "localhost").unwrap();
    assert_eq!(client.get::<String>("/").await.unwrap(), "hi");

    let elsewhere = dial("elsewhere", &sha256(&ca));
    let client = Client::new(elsewhere.clone(), "localhost").unwrap();
    assert!(matches!(client.get::<String>("/").await, Err(Error::Dial(_))), "the name counts");
    assert_eq!(elsewhere.ca_pem(), None);
}

#[tokio::test]
async fn a_wrong_pin_is_refused_and_both_hashes_are_named() {
    let ((ca, acceptor), (other, _)) = (authority(), authority());
    let port = serve(acceptor).await;
    let dial = PinnedDial::new("127.0.0.1", port, "localhost", &sha256(&other)).unwrap();
    let error = Client::new(Arc::new(dial), "localhost").unwrap().get::<String>("/").await.unwrap_err();
    let wrong = WrongPin::behind(&error).unwrap();
    assert_eq!(*wrong, WrongPin { pinned: sha256(&other), sent: vec![sha256(&ca)] });
    let text = wrong.to_string();
    assert!(text.contains(&sha256(&ca)) && text.contains(&sha256(&other)), "{text}");
    assert!(PinnedDial::new("h", 1, "h", "abc").is_err(), "half a pin is none");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_shake_hands_is_given_up_on() {
    let (ca, _) = identity();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dial = TlsDial::new("127.0.0.1", port, "localhost", ca.as_bytes()).unwrap();
    let client = Client::new(Arc::new(dial), "localhost").unwrap();
    let error = client.get::<String>("/").await.unwrap_err();
    assert!(matches!(error, Error::Dial(error) if error.kind() == std::io::ErrorKind::TimedOut));
}

#[test]
fn a_ca_that_is_none_is_refused() {
    assert!(TlsDial::new("h", 1, "h", b"").is_err());
    assert!(
        TlsDial::new("h", 1, "h", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err()
    );
}

//! Over real TLS on loopback.

use std::sync::Arc;

use drover_client::{Client, ClientConfig, Error, TlsDial};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate for localhost, and an acceptor with it.
fn identity() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
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

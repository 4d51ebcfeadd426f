//! What TLS 1.3 handshakes allow over loopback: connections made and dropped, client and server sharing the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use drover_client::{Dial as _, TlsDial};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fanout::Identity;
use crate::clock;
use crate::stats::Round;

/// Handshakes a second, from so many clients at once. The server has a thread of its own.
pub(crate) async fn rate(parallel: usize, seconds: f64) -> Result<Round> {
    let identity = Identity::new()?;
    let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let server = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            while let Ok((tcp, _)) = listener.accept().await {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    use tokio::io::AsyncReadExt as _;
                    if let Ok(mut tls) = acceptor.accept(tcp).await {
                        let _ = tls.read(&mut [0; 1]).await;
                    }
                });
            }
            Ok(())
        })
    });
    let dial = Arc::new(TlsDial::new("127.0.0.1", port, "127.0.0.1", identity.ca_pem.as_bytes())?);
    let done = Arc::new(AtomicU64::new(0));
    let begun = clock::mono();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..parallel {
        let (dial, done) = (dial.clone(), done.clone());
        tasks.spawn(async move {
            while clock::seconds_since(begun) < seconds {
                drop(dial.dial().await?);
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let (count, lasted) = (done.load(Ordering::Relaxed), clock::seconds_since(begun));
    stop.store(true, Ordering::Relaxed);
    // Wakes it up.
    let _ = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    Ok(Round::one("rate", count as f64 / lasted, count))
}

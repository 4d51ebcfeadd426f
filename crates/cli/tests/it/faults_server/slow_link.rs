//! A stretch of network on which what the server says comes a byte a second, until it is let go.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// The link. It goes with its connections.
pub(crate) struct SlowLink {
    pub(crate) port: u16,
    free: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

/// What the link's own end of a connection holds back for the server.
const RECEIVE: u32 = 4096;

impl SlowLink {
    /// A link to a port of this host.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let (free, is_free) = watch::channel(true);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(link(near, port, is_free.clone()));
            }
        });
        Self { port: here, free, accepting }
    }

    /// From here on a byte a second.
    pub(crate) fn slow(&self) {
        self.free.send_replace(false);
    }

    /// From here on as fast as it goes.
    pub(crate) fn free(&self) {
        self.free.send_replace(true);
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn link(near: TcpStream, port: u16, mut is_free: watch::Receiver<bool>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE).unwrap();
    let Ok(far) = socket.connect(([127, 0, 0, 1], port).into()).await else { return };
    let (mut from_server, mut to_server) = far.into_split();
    let (mut from_client, mut to_client) = near.into_split();
    let asking = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let answering = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let mut most = bytes.len();
            if !*is_free.borrow_and_update() {
                tokio::select! {
                    biased;
                    _ = is_free.changed() => continue,
                    () = tokio::time::sleep(Duration::from_secs(1)) => most = 1,
                }
            }
            let read = tokio::select! {
                biased;
                _ = is_free.changed() => continue,
                read = from_server.read(&mut bytes[..most]) => read,
            };
            match read {
                Ok(count) if count > 0 && to_client.write_all(&bytes[..count]).await.is_ok() => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        _ = asking => {}
        () = answering => {}
    }
}

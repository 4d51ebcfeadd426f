//! How the reconciler and the local agent reach the server in their own process: the same HTTP as everybody, over a
//! pipe in memory.

use std::sync::Arc;

use anyhow::Result;
use drover_apiserver::Server;
use drover_client::{BoxStream, Client, Dial, FnDial};

/// Bytes that may wait in the pipe in each direction.
const PIPE: usize = 64 << 10;
/// What the `Host` header says.
const HOST: &str = "drover";

/// Opens pipes to a server.
pub(crate) fn dial(server: &Server) -> Arc<dyn Dial> {
    let server = server.clone();
    Arc::new(FnDial(move || {
        let (near, far) = tokio::io::duplex(PIPE);
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(far).await });
        Ok(Box::new(near) as BoxStream)
    }))
}

/// A client of a server in this process.
pub(crate) fn client(server: &Server, token: &str) -> Result<Client> {
    Ok(Client::new(dial(server), HOST)?.with_token(token)?)
}

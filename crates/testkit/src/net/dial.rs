//! How a part connects to the server, whichever server there is by then.

use std::io;
use std::sync::Arc;

use drover_client::{BoxStream, Dial};
use futures_util::future::BoxFuture;

use crate::life::Life;
use crate::net::link::Link;
use crate::net::pipe::End;

/// Who is connected to.
pub trait Accept: Send + Sync {
    /// The life of whoever listens now; none if nobody does.
    fn listener(&self) -> Option<Life>;
    /// Gives it a connection.
    fn accept(&self, end: End);
}

/// Connects one part over one link.
#[derive(Clone)]
pub struct SimDial {
    /// Whose connections they are.
    pub life: Life,
    /// Over what.
    pub link: Link,
    /// To whom.
    pub far: Arc<dyn Accept>,
}

impl Dial for SimDial {
    fn dial(&self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            if self.life.operate().is_err() {
                // Whoever still asks has crashed and is about to be dropped, or is not and never goes on.
                return std::future::pending().await;
            }
            let Some(listener) = self.far.listener() else {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            let (near, far) = self.link.open(&self.life, &listener).await?;
            if listener.is_over() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            self.far.accept(far);
            Ok(Box::new(near) as BoxStream)
        })
    }
}

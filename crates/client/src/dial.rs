//! The seam between this crate and the network: whatever gives a byte stream to the apiserver.

use std::io;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection: bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection of any kind.
pub type BoxStream = Box<dyn Stream>;

/// Opens connections to one apiserver.
pub trait Dial: Send + Sync {
    /// Opens one.
    fn dial(&self) -> BoxFuture<'_, io::Result<BoxStream>>;
}

/// A [`Dial`] made of a function, for servers in the same process.
pub struct FnDial<F>(pub F);

impl<F> Dial for FnDial<F>
where
    F: Fn() -> io::Result<BoxStream> + Send + Sync,
{
    fn dial(&self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(std::future::ready((self.0)()))
    }
}

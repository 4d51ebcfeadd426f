//! As much of gRPC and of protocol buffers as asking etcd takes.

use std::convert::Infallible;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A field of bytes in a message.
pub(crate) fn field(message: &mut BytesMut, number: u8, bytes: &[u8]) {
    message.put_u8(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.put_slice(bytes);
}

fn varint(message: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        message.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.put_u8(value as u8);
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Grpc {
    sender: SendRequest<Body>,
    authority: String,
}

impl Grpc {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(tcp)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: format!("127.0.0.1:{port}") })
    }

    async fn send(&mut self, path: &str, body: Body) -> Result<http::Response<Incoming>> {
        let request = Request::builder()
            .method("POST")
            .uri(format!("http://{}{path}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// One message for one message.
    pub(crate) async fn unary(&mut self, path: &str, message: &[u8]) -> Result<Bytes> {
        let body = http_body_util::Full::new(framed(message)).boxed_unsync();
        let answer = self.send(path, body).await?.into_body().collect().await?;
        let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
        let mut bytes = answer.to_bytes();
        if status.as_ref().is_some_and(|status| status != "0") || bytes.len() < 5 {
            bail!("{path}: gRPC status {status:?}");
        }
        bytes.advance(5);
        Ok(bytes)
    }

    /// One message for a stream of them, raw.
    pub(crate) async fn streaming(&mut self, path: &str, message: &[u8]) -> Result<Incoming> {
        let first = framed(message);
        let frames = stream::once(async move { Ok(Frame::data(first)) }).chain(stream::pending());
        Ok(self.send(path, StreamBody::new(frames).boxed_unsync()).await?.into_body())
    }
}

/// The next bytes of a stream.
pub(crate) async fn next(body: &mut Incoming) -> Result<Bytes> {
    loop {
        let frame = body.frame().await.context("the stream ended")??;
        if let Ok(data) = frame.into_data() {
            return Ok(data);
        }
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(message.len() + 5);
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_field_has_its_length_in_two_bytes() {
        let mut message = BytesMut::new();
        field(&mut message, 2, &[7; 300]);
        assert_eq!(&message[..4], &[0x12, 0xac, 0x02, 7]);
        assert_eq!(message.len(), 303);
    }
}

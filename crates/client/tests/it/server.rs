//! A real HTTP server over pipes in memory; each test answers its calls one by one.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use drover_client::{BoxStream, Client, FnDial};
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(crate) struct Server {
    pub(crate) client: Client,
    calls: mpsc::Receiver<Call>,
    dials: Arc<AtomicUsize>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    reply: oneshot::Sender<Response<Body>>,
}

/// An answer that is being made. Dropped, it ends in good order.
pub(crate) struct Lines(mpsc::Sender<Bytes>);

impl Server {
    pub(crate) fn start() -> Self {
        let (sender, calls) = mpsc::channel(64);
        let dials = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dials);
        let dial = FnDial(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            tokio::spawn(serve(theirs, sender.clone()));
            Ok(Box::new(ours) as BoxStream)
        });
        let client = Client::new(Arc::new(dial), "drover").unwrap().with_token("t0ken").unwrap();
        Self { client, calls, dials }
    }

    pub(crate) async fn call(&mut self) -> Call {
        self.calls.recv().await.expect("the client still calls")
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }
}

impl Call {
    pub(crate) fn answer(self, code: u16, body: impl Into<Bytes>) {
        let body = Full::new(body.into()).boxed_unsync();
        let _ = self.reply.send(Response::builder().status(code).body(body).unwrap());
    }

    pub(crate) fn json(self, body: &Value) {
        self.answer(200, body.to_string());
    }

    pub(crate) fn fail(self, code: u16, reason: &str) {
        self.answer(code, json!({"kind": "Status", "reason": reason, "message": "no"}).to_string());
    }

    pub(crate) fn stream(self) -> Lines {
        let (sender, receiver) = mpsc::channel::<Bytes>(64);
        let frames = stream::unfold(receiver, |mut receiver| async move {
            let bytes = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
        });
        let _ = self.reply.send(Response::new(StreamBody::new(frames).boxed_unsync()));
        Lines(sender)
    }

    /// Breaks the connection without an answer.
    pub(crate) fn cut(self) {}
}

impl Lines {
    pub(crate) async fn event(&self, kind: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        // In two pieces, for the client may make no assumption about them.
        let (head, tail) = line.split_at(line.len() / 2);
        self.0.send(Bytes::copy_from_slice(head.as_bytes())).await.unwrap();
        self.0.send(Bytes::copy_from_slice(tail.as_bytes())).await.unwrap();
    }
}

async fn serve(stream: DuplexStream, calls: mpsc::Sender<Call>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let calls = calls.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
            let (reply, answer) = oneshot::channel();
            let path = parts.uri.to_string();
            let call = Call { method: parts.method, path, headers: parts.headers, body, reply };
            calls.send(call).await.map_err(std::io::Error::other)?;
            // A dropped reply is an error, which closes the connection.
            answer.await.map_err(std::io::Error::other)
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

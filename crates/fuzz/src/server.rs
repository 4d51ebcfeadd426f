//! A whole apiserver on a real store, and requests to it over a pipe in memory.

use std::sync::Arc;
use std::time::Duration;

use drover_apiserver::{Server, ServerOptions};
use drover_store::{Options, SqliteStore};
use drover_world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

/// How long a request that is one is waited for. Nothing takes as long: it fails then, instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long bytes that may be half a request, or begin a watch, are waited for.
const SHORT: Duration = Duration::from_millis(20);
/// What stands for the administrator's token in a request.
const TOKEN: &[u8] = b"$TOKEN";

/// A server with a few objects in it. It lives as long as its thread.
pub(crate) struct Fixture {
    runtime: Runtime,
    server: Server,
    _dir: tempfile::TempDir,
}

thread_local! {
    static FIXTURE: Fixture = Fixture::new();
}

/// Sends bytes on a connection of their own; everything that comes back before long. Where `$TOKEN` is written, the
/// administrator's token is sent.
pub(crate) fn send(request: &[u8]) -> Vec<u8> {
    FIXTURE.with(|fixture| fixture.send(&fixture.with_token(request), SHORT))
}

/// One request of the administrator's with a body; the status code, none where there was no answer.
pub(crate) fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Option<u16> {
    FIXTURE.with(|fixture| fixture.request(method, path, content_type, body))
}

/// The code in the first line of an answer.
pub(crate) fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?.parse().ok()
}

impl Fixture {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a directory");
        let world = World::system();
        let server = runtime.block_on(async {
            let entropy = world.clone();
            let options = Options::new(move || entropy.uuid_v4().as_u128());
            let store = Arc::new(SqliteStore::open(dir.path(), options).expect("a store"));
            let options = ServerOptions::new(dir.path(), vec!["localhost".into()]);
            Server::start(store, world, options).await.expect("a server")
        });
        let fixture = Self { runtime, server, _dir: dir };
        let timer = r#"{"metadata": {"name": "NAME", "labels": {"a": "b"}}, "spec": {"every": "1h", "template":
            {"process": {"command": ["/bin/true"]}}}}"#;
        for name in ["t", "u", "v"] {
            let (path, body) = ("/apis/drover.dev/v1/namespaces/default/timers", timer.replace("NAME", name));
            assert_eq!(fixture.request("POST", path, "application/json", body.as_bytes()), Some(201));
        }
        fixture
    }

    fn with_token(&self, request: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(request.len());
        let mut rest = request;
        while let Some(at) = rest.windows(TOKEN.len()).position(|window| window == TOKEN) {
            filled.extend_from_slice(&rest[..at]);
            filled.extend_from_slice(self.server.admin_token().as_bytes());
            rest = &rest[at + TOKEN.len()..];
        }
        filled.extend_from_slice(rest);
        filled
    }

    fn request(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Option<u16> {
        let (length, token) = (body.len(), self.server.admin_token());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: drover\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        status(&self.send(&[head.as_bytes(), body].concat(), PATIENCE))
    }

    fn send(&self, request: &[u8], patience: Duration) -> Vec<u8> {
        self.runtime.block_on(async {
            let (near, far) = tokio::io::duplex(64 << 10);
            let server = self.server.clone();
            let serving = tokio::spawn(async move { server.serve_connection(far).await });
            let (mut from, mut to) = tokio::io::split(near);
            let mut answer = Vec::new();
            let reading = async {
                let mut piece = [0; 8192];
                while let Ok(count @ 1..) = from.read(&mut piece).await {
                    answer.extend_from_slice(&piece[..count]);
                }
            };
            let exchange = async { tokio::join!(to.write_all(request), reading) };
            let _ = tokio::time::timeout(patience, exchange).await;
            drop((from, to));
            serving.abort();
            if let Err(error) = serving.await {
                assert!(!error.is_panic(), "a connection panicked: {error}");
            }
            answer
        })
    }
}

//! A server on a real store, and clients of it over pipes in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use drover_apiserver::{Server, ServerOptions};
use drover_client::{BoxStream, Client, Error, FnDial, PatchKind, Request};
use drover_store::{Options, SqliteStore};
use drover_wire::{JoinRequest, JoinResponse, join_path};
use drover_world::{Clock, SystemClock, World};
use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const SPACE: &str = "/apis/drover.dev/v1/namespaces/default";

/// The real clock, ahead by what a test says.
#[derive(Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    pub(crate) fn by(&self, time: Duration) {
        self.0.store(time.as_secs().try_into().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn boottime(&self) -> Duration {
        SystemClock.boottime()
    }
}

pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) clock: Arc<Ahead>,
    dir: Option<tempfile::TempDir>,
}

impl Cluster {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Ahead::default());
        let server = start(dir.path(), clock.clone(), change).await;
        Self { server, clock, dir: Some(dir) }
    }

    /// Stops the server and starts another one on what it left.
    pub(crate) async fn restart(mut self) -> Self {
        let dir = self.dir.take().unwrap();
        self.server.stop();
        self.server.stopped().await;
        let clock = self.clock.clone();
        drop(self);
        let server = start(dir.path(), clock.clone(), |_| ()).await;
        Self { server, clock, dir: Some(dir) }
    }

    pub(crate) fn client(&self, token: &str) -> Client {
        let server = self.server.clone();
        let dial = FnDial(move || {
            let (near, far) = tokio::io::duplex(64 << 10);
            let server = server.clone();
            tokio::spawn(async move { server.serve_connection(far).await });
            Ok(Box::new(near) as BoxStream)
        });
        Client::new(Arc::new(dial), "drover").unwrap().with_token(token).unwrap()
    }

    pub(crate) fn admin(&self) -> Client {
        self.client(self.server.admin_token())
    }

    pub(crate) async fn join_token(&self, body: Value) -> String {
        let mut body = body;
        body["role"] = "node".into();
        let made: Value = self.admin().create("/apis/drover.dev/v1/tokens", &body).await.unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn join(
        &self,
        token: &str,
        node: &str,
        labels: &[(&str, &str)],
    ) -> Result<JoinResponse, Error> {
        self.join_from(&host_id(node), token, node, labels).await
    }

    /// Joins a host that another one may have the node's name of.
    pub(crate) async fn join_from(
        &self,
        host_id: &str,
        token: &str,
        node: &str,
        labels: &[(&str, &str)],
    ) -> Result<JoinResponse, Error> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let request = JoinRequest { host_id: host_id.to_owned(), labels };
        self.client(token).create(&join_path(node), &request).await
    }

    /// A node with a credential.
    pub(crate) async fn node(&self, name: &str) -> JoinResponse {
        let token = self.join_token(json!({})).await;
        self.join(&token, name, &[]).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.admin().get(path).await.unwrap()
    }

    pub(crate) async fn create(&self, path: &str, body: &Value) -> Value {
        self.admin().create(path, body).await.unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Value {
        self.admin().patch(path, PatchKind::Merge, body).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.admin().delete(path, &drover_client::DeleteOptions::default()).await.unwrap();
    }

    pub(crate) async fn exists(&self, path: &str) -> bool {
        match self.admin().get::<Value>(path).await {
            Ok(_) => true,
            Err(error) if code(&error) == 404 => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// POSTs a body, or nothing.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.admin().create(path, body).await
    }

    /// Reads an object until it is as it should be.
    pub(crate) async fn until(&self, path: &str, right: impl Fn(&Value) -> bool) -> Value {
        loop {
            let object = self.get(path).await;
            if right(&object) {
                return object;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A Timer `t` that runs a command with the environment of these secrets.
    pub(crate) async fn timer(&self, name: &str) -> Value {
        let body = json!({
            "metadata": {"name": name},
            "spec": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}},
        });
        self.create(&format!("{SPACE}/timers"), &body).await
    }

    /// An Assignment of a workload on a node.
    pub(crate) async fn assign(&self, name: &str, node: &str, secrets: &[&str]) -> Value {
        self.assign_of(name, node, "w-uid", secrets).await
    }

    pub(crate) async fn assign_of(&self, name: &str, node: &str, workload: &str, secrets: &[&str]) -> Value {
        let from: Vec<_> = secrets.iter().map(|name| json!({"secretRef": {"name": name}})).collect();
        let body = json!({
            "metadata": {
                "name": name, "finalizers": ["drover.dev/node"], "labels": {"drover.dev/workload": "w"},
            },
            "spec": {
                "nodeName": node, "workloadRef": {"kind": "Timer", "name": "w", "uid": workload},
                "timer": {"every": "1h", "template": {"process": {"command": ["/bin/true"], "envFrom": from}}},
            },
        });
        self.create(&format!("{SPACE}/assignments"), &body).await
    }

    pub(crate) async fn secret(&self, name: &str, value: &str) -> Value {
        let body = json!({"metadata": {"name": name}, "stringData": {"value": value}});
        self.create("/api/v1/namespaces/default/secrets", &body).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let answer = self.admin().send(Request::new(Method::GET, "/metrics")).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }
}

async fn start(dir: &Path, clock: Arc<Ahead>, change: impl FnOnce(&mut ServerOptions)) -> Server {
    let world = World { clock, ..World::system() };
    let mut options = ServerOptions::new(dir, vec!["localhost".into()]);
    change(&mut options);
    let store = loop {
        let entropy = world.clone();
        match SqliteStore::open(dir, Options::new(move || entropy.uuid_v4().as_u128())) {
            Ok(store) => break store,
            // A connection of the server before may still be ending.
            Err(drover_store::OpenError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    Server::start(Arc::new(store), world, options).await.unwrap()
}

/// The id of a host; each node's name has its own.
pub(crate) fn host_id(name: &str) -> String {
    let id = name.bytes().fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
    format!("{id:0<32}")
}

pub(crate) fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// The HTTP code of a refusal.
pub(crate) fn code(error: &Error) -> u16 {
    match error {
        Error::Api(refused) => refused.status.code,
        other => panic!("not an answer of the server: {other}"),
    }
}

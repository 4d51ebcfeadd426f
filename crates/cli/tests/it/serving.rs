//! A real server over TLS, and its API with the admin token: for what no verb writes, as a status.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use drover_apiserver::{Server, ServerOptions};
use drover_client::{Client, ClientConfig, FromKubeconfig};
use drover_manifest::{Limits, decode_value};
use drover_store::{Options, SqliteStore};
use drover_types::{Kind, Scope};
use drover_world::World;
use serde_json::{Value, json};

/// A running server; it is killed when this goes.
pub(crate) struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server on a free port and waits until it says where it listens.
pub(crate) fn serve(folder: &Path) -> Served {
    serve_on(folder, "127.0.0.1:0")
}

/// Starts a server on an address.
pub(crate) fn serve_on(folder: &Path, address: &str) -> Served {
    begin(folder, ".drover", address)
}

/// Starts a server on another data directory than usual.
pub(crate) fn serve_in(folder: &Path, data_dir: &str) -> Served {
    begin(folder, data_dir, "127.0.0.1:0")
}

fn begin(folder: &Path, data_dir: &str, address: &str) -> Served {
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["server", "--no-agent", "--data-dir", data_dir, "--listen", address])
        .current_dir(folder)
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("listening on https://127.0.0.1:"), "{first:?}");
    Served(child)
}

/// An apiserver alone, in this process: nobody writes a status but the test. It ends when this goes.
pub(crate) struct Still {
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for Still {
    fn drop(&mut self) {
        self.server.stop();
    }
}

/// Starts an apiserver on a free port, without a reconciler and an agent.
pub(crate) fn still(folder: &Path) -> Still {
    let data_dir = folder.join(".drover");
    fs::create_dir(&data_dir).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, address) = runtime.block_on(async {
        let world = World::system();
        let random = world.clone();
        let store = SqliteStore::open(&data_dir, Options::new(move || random.uuid_v4().as_u128())).unwrap();
        let options = ServerOptions::new(&data_dir, vec!["127.0.0.1".into()]);
        let server = Server::start(Arc::new(store), world, options).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        (server, address)
    });
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "drover",
        "clusters": [{"name": "drover", "cluster": {
            "server": format!("https://{address}"), "certificate-authority": "ca.crt",
        }}],
        "users": [{"name": "admin", "user": {"token": server.admin_token()}}],
        "contexts": [{"name": "drover", "context": {"cluster": "drover", "user": "admin"}}],
    });
    fs::write(data_dir.join("kubeconfig"), config.to_string()).unwrap();
    Still { server, _runtime: runtime }
}

/// The API of the server in `folder`.
pub(crate) struct Api {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Api {
    /// With the admin token.
    pub(crate) fn new(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(".drover/kubeconfig")).unwrap();
        let value = decode_value("kubeconfig", &text, &Limits::default()).unwrap();
        let read = |file: &Path| fs::read(folder.join(".drover").join(file));
        let config =
            ClientConfig::from_kubeconfig(&value, &FromKubeconfig { context: None, read: &read }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { client: Client::from_config(&config).unwrap(), runtime }
    }

    fn path(kind: Kind, object: &Value) -> String {
        let space = object["metadata"]["namespace"].as_str().unwrap_or("default");
        kind.path((kind.names().scope == Scope::Namespaced).then_some(space))
    }

    /// Makes an object, and writes its status if it has one.
    pub(crate) fn create(&self, kind: Kind, object: &Value) -> Value {
        let path = Self::path(kind, object);
        let made: Value = self.runtime.block_on(self.client.create(&path, object)).unwrap();
        match object.get("status") {
            None => made,
            Some(status) => self.set_status(kind, &made, status.clone()),
        }
    }

    /// Makes an object, or says why not.
    pub(crate) fn try_create(&self, kind: Kind, object: &Value) -> Result<Value, drover_client::Error> {
        self.runtime.block_on(self.client.create(&Self::path(kind, object), object))
    }

    /// Makes an object as a manager of its fields.
    pub(crate) fn create_as(&self, manager: &str, kind: Kind, object: &Value) -> Value {
        let path = format!("{}?fieldManager={manager}", Self::path(kind, object));
        self.runtime.block_on(self.client.create(&path, object)).unwrap()
    }

    /// Writes an object's status.
    pub(crate) fn set_status(&self, kind: Kind, object: &Value, status: Value) -> Value {
        let path =
            format!("{}/{}/status", Self::path(kind, object), object["metadata"]["name"].as_str().unwrap());
        let mut next = object.clone();
        next["status"] = status;
        self.runtime.block_on(self.client.replace(&path, &next)).unwrap()
    }

    /// Reads an object.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Value {
        let space = (kind.names().scope == Scope::Namespaced).then_some("default");
        self.runtime.block_on(self.client.get(&format!("{}/{name}", kind.path(space)))).unwrap()
    }

    /// Replaces an object's metadata and spec.
    pub(crate) fn replace(&self, kind: Kind, object: &Value) -> Value {
        let path = format!("{}/{}", Self::path(kind, object), object["metadata"]["name"].as_str().unwrap());
        self.runtime.block_on(self.client.replace(&path, object)).unwrap()
    }
}

//! Laws of being a node: one per directory, let in once, itself from then on.

use std::any::Any;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use drover_node_agent::{
    JoinError, LockError, Machine, NodeError, NodeOptions, RealMachine, ServerAddress, run_node,
};
use drover_wire::{Accepted, NodeFacts};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use sha2::Digest;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::agent::{Dir, Running, assignment, lines, script, text};
use crate::server::{Server, Stored};
use crate::sessions::Node;

fn options(server: &Server, dir: &Dir) -> NodeOptions {
    NodeOptions::new(ServerAddress::InProcess(server.dial()), "host-1", dir.data())
}

async fn refused(options: NodeOptions) -> NodeError {
    let run = run_node(options, std::future::pending());
    tokio::time::timeout(crate::agent::PATIENCE, run).await.expect("it gives up").unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_on_the_data_directory_is_refused() {
    let dir = Dir::new();
    let mut server = Server::start();
    let node = Node::start(&server, &dir.data());
    server.session().await;
    let mut second = options(&server, &dir);
    second.credential = Some(server.credential("node-uid"));
    let error = refused(second).await.to_string();
    let pid = std::process::id();
    assert!(error.starts_with(&format!("another agent (pid {pid}) uses ")), "{error}");
    node.crash().await;
    let _node = Node::start(&server, &dir.data());
    server.session().await;
}

/// A machine on which the agent before has left its lock to a child that is just being started.
struct StillHeld(AtomicU32);

impl Machine for StillHeld {
    fn boot_id(&self) -> io::Result<String> {
        RealMachine.boot_id()
    }

    fn facts(&self) -> NodeFacts {
        RealMachine.facts()
    }

    fn lock(&self, data_dir: &Path) -> Result<Box<dyn Any + Send>, LockError> {
        if self.0.fetch_add(1, Ordering::SeqCst) < 3 {
            return Err(LockError::Held { data_dir: data_dir.to_owned(), pid: None });
        }
        RealMachine.lock(data_dir)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_a_killed_agent_leaves_to_a_child_for_a_moment_is_waited_for() {
    let dir = Dir::new();
    let mut server = Server::start();
    let mut second = options(&server, &dir);
    second.credential = Some(server.credential("node-uid"));
    let machine = Arc::new(StillHeld(AtomicU32::new(0)));
    second.machine = Arc::clone(&machine) as Arc<dyn Machine>;
    let _node = Node::with(second);
    server.session().await;
    assert_eq!(machine.0.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_joins_once_and_does_its_work_without_a_server_from_then_on() {
    let dir = Dir::new();
    let log = dir.path().join("log");
    let mut server = Server::start();
    let error = refused(options(&server, &dir)).await;
    assert!(matches!(error, NodeError::NotJoined(_)), "{error}");
    server.allow("drn_join.pin");
    let mut first = options(&server, &dir);
    first.join_token = Some("drn_join.pin".into());
    first.labels.insert("dc".into(), "fra1".into());
    let node = Node::with(first);
    let (mut peer, hello) = server.welcome(Accepted::default()).await;
    assert_eq!(hello.node_uid.as_deref(), Some("host-1-uid-1"));
    assert_eq!(server.joined()[0].labels["dc"], "fra1");
    let path = dir.data().join("credential");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let echo = script(&format!("echo ran >> {}", log.display()));
    peer.desired(1, vec![assignment("beat", "Timer", json!({"every": "100ms", "template": echo}))]).await;
    while lines(&log).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.cut();
    node.crash().await;
    let before = lines(&log).len();
    let _node = Node::with(options(&server, &dir));
    while lines(&log).len() < before + 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.joined().len(), 1);
    let mut other = options(&server, &dir);
    other.data_dir = dir.path().join("copy");
    other.node_name = "host-2".into();
    std::fs::create_dir(&other.data_dir).unwrap();
    std::fs::copy(path, other.data_dir.join("credential")).unwrap();
    let error = refused(other).await;
    assert!(matches!(error, NodeError::OtherNode { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_credential_was_lost_on_the_way_joins_again_as_the_same_host() {
    let dir = Dir::new();
    let mut server = Server::start();
    server.allow("drn_join.pin");
    let again = || {
        let mut options = options(&server, &dir);
        options.join_token = Some("drn_join.pin".into());
        options
    };
    let (first, second) = (again(), again());
    let node = Node::with(first);
    server.session().await;
    node.crash().await;
    let id = dir.data().join("host-id");
    assert_eq!(std::fs::metadata(&id).unwrap().permissions().mode() & 0o777, 0o600);
    // As if the crash had been after the server's answer and before it was on disk.
    std::fs::remove_file(dir.data().join("credential")).unwrap();
    let _node = Node::with(second);
    server.session().await;
    let ids: Vec<String> = server.joined().into_iter().map(|request| request.host_id).collect();
    let kept = std::fs::read_to_string(&id).unwrap();
    assert_eq!(ids, [kept.trim(), kept.trim()]);
    assert!(drover_wire::is_host_id(&ids[0]), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_known_any_more_joins_anew_and_restarts_nothing() {
    let dir = Dir::new();
    let mut server = Server::start();
    server.allow("drn_join.pin");
    let mut first = options(&server, &dir);
    first.join_token = Some("drn_join.pin".into());
    let _node = Node::with(first);
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let web = assignment("web", "Service", json!({"template": script("exec sleep 600")}));
    peer.desired(3, vec![web.clone()]).await;
    let up = |seen: &crate::agent::Seen| seen.runs_in("web", "Running").first().map(|run| (*run).clone());
    let run = peer.until(&mut store, "it runs", up).await;
    server.forget_nodes();
    drop(peer);
    let mut store = Stored::default();
    let (mut peer, hello) = server.welcome(Accepted::default()).await;
    assert_eq!(hello.node_uid.as_deref(), Some("host-1-uid-2"));
    assert_eq!(hello.desired_revision, None, "another Node is owed everything anew");
    peer.desired(5, vec![web]).await;
    let again = peer.until(&mut store, "it runs on", up).await;
    assert_eq!(again["status"]["pid"], run["status"]["pid"]);
    drop(peer);
    server.session().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_known_ends_the_first_join_with_the_servers_word() {
    let dir = Dir::new();
    let server = Server::start();
    let mut first = options(&server, &dir);
    first.join_token = Some("drn_stolen.pin".into());
    let error = refused(first).await;
    assert!(matches!(error, NodeError::Join(JoinError::BadToken(_))), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "the token is not known");
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A CA's certificate, and an acceptor whose certificate for 127.0.0.1 it signed.
fn authority() -> (CertificateDer<'static>, TlsAcceptor) {
    let (ca_key, key) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let ca = params.self_signed(&ca_key).unwrap().der().clone();
    let issuer = rcgen::Issuer::from_ca_cert_der(&ca, ca_key).unwrap();
    let leaf = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf, ca.clone()], key)
        .unwrap();
    (ca, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_pin_is_refused_and_the_right_one_teaches_the_ca() {
    let dir = Dir::new();
    let server = Arc::new(tokio::sync::Mutex::new(Server::start()));
    let (ca, acceptor) = authority();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let wrong = format!("drn_join.{}", "0".repeat(64));
    let right = format!("drn_join.{}", sha256(&ca));
    server.lock().await.allow(&wrong);
    server.lock().await.allow(&right);
    let serving = server.clone();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            serving.lock().await.serve(tls);
        }
    });
    let remote = |token: Option<&str>| {
        let mut options = NodeOptions::new(ServerAddress::Remote { url: url.clone() }, "host-1", dir.data());
        options.join_token = token.map(str::to_owned);
        options
    };
    let error = refused(remote(Some(&wrong))).await;
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&"0".repeat(64)) && source.contains(&sha256(&ca)), "{source}");
    assert!(server.lock().await.joined().is_empty(), "the token was shown to a stranger");
    assert!(matches!(refused(remote(Some("drn_bare"))).await, NodeError::Join(JoinError::Token)));

    let node = Node::with(remote(Some(&right)));
    while server.lock().await.joined().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let credential = dir.data().join("credential");
    while !credential.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    node.crash().await;
    assert!(std::fs::read_to_string(credential).unwrap().contains("BEGIN CERTIFICATE"));
    // From now on the token is not needed.
    let node = Node::with(remote(None));
    drop(node);
    let _ = (text, Running::start);
}

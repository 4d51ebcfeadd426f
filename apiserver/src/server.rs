//! The server as a value: started over a store, then given connections.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use drover_store::{Cache, CacheOptions, Store, StoreError};
use drover_wire::JoinResponse;
use drover_world::{Disk, RealDisk, World};
use http::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::error::ApiError;
use crate::identity::{self, AdminError, Role, Tokens};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::patience::{Activity, Answer, Patient, Underway};
use crate::pki::{self, Pki, PkiError};
use crate::sessions::{Bounds, Sessions};
use crate::streams::Seat;
use crate::{history, keys, routes, tombstones};

/// How a server is set up.
#[derive(Clone)]
pub struct ServerOptions {
    /// Where the CA and the administrator's token lie. It must exist.
    pub data_dir: PathBuf,
    /// The disk that it is on.
    pub disk: Arc<dyn Disk>,
    /// Names and addresses for the leaf certificate, with or without a port.
    pub advertise: Vec<String>,
    /// The most connections at once; further ones wait unaccepted.
    pub max_connections: usize,
    /// The most watches at once; further ones are answered 429.
    pub max_watches: usize,
    /// The most agent sessions at once; further agents are told to come back later.
    pub max_sessions: usize,
    /// The most agents being let in and brought up to date at once.
    pub max_syncs: usize,
    /// How often an agent is asked for a sign of life. Two that go unanswered end its session.
    pub heartbeat_interval: Duration,
    /// How long a TLS handshake, the head of a request and an agent's hello may take.
    pub handshake_timeout: Duration,
    /// How long open requests may go on after the server was told to stop.
    pub drain_timeout: Duration,
}

impl ServerOptions {
    /// The default bounds, on the host's own disk.
    pub fn new(data_dir: impl Into<PathBuf>, advertise: Vec<String>) -> Self {
        Self {
            data_dir: data_dir.into(),
            disk: Arc::new(RealDisk),
            advertise,
            max_connections: 8192,
            max_watches: 4096,
            max_sessions: 8192,
            max_syncs: 64,
            heartbeat_interval: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions")
            .field("data_dir", &self.data_dir)
            .field("advertise", &self.advertise)
            .field("max_connections", &self.max_connections)
            .field("max_watches", &self.max_watches)
            .field("max_sessions", &self.max_sessions)
            .field("max_syncs", &self.max_syncs)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("drain_timeout", &self.drain_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store refused.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
    /// No certificate.
    #[error("cannot set up TLS")]
    Pki(#[from] PkiError),
    /// No administrator's token.
    #[error("cannot set up the administrator's token")]
    Admin(#[from] AdminError),
    /// The first objects could not be made.
    #[error("cannot make the namespace \"default\"")]
    Bootstrap(#[source] ApiError),
}

struct Inner {
    objects: Objects,
    tokens: Tokens,
    pki: Pki,
    admin_token: String,
    controller_token: String,
    metrics: Metrics,
    watches: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    options: ServerOptions,
    sessions: Sessions,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// A server that nobody has any more stops by itself.
    _stop_at_last: DropGuard,
}

/// A running apiserver. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Server {
    /// Fills the cache, and makes what is not there yet: CA, administrator's token, namespace `default`.
    pub async fn start(
        store: Arc<dyn Store>,
        world: World,
        options: ServerOptions,
    ) -> Result<Self, StartError> {
        // What a crash left of a backup only takes space.
        let _ = std::fs::remove_file(crate::backup::place(&options.data_dir));
        let encode = CacheOptions::new(|kind, revision, value| keys::encoded(kind, value, revision));
        let cache = Cache::attach(&*store, keys::ROOT, encode).await?;
        let epoch = store.status().await?.epoch.to_string();
        let names = pki::leaf_names(&options.advertise);
        let pki = Pki::open(&*options.disk, &options.data_dir, names, world.clock.now())?;
        let (controller_token, controller) = identity::controller_token(&world);
        let held = identity::records(&*store).await?;
        let (pin, world_of) = (pki.pin().to_owned(), world.clone());
        let tokens = Tokens { store: store.clone(), held, world: world_of, pin, controller };
        let admin_token = tokens.admin(&*options.disk, &options.data_dir).await?;
        let metrics = Metrics::new(store.metrics(), cache.metrics());
        let objects = Objects { store, cache, world, epoch };
        objects.bootstrap().await.map_err(StartError::Bootstrap)?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let bounds = Bounds {
            max_sessions: options.max_sessions,
            max_syncs: options.max_syncs.max(1),
            heartbeat: options.heartbeat_interval,
            handshake: options.handshake_timeout,
        };
        let counters = metrics.sessions.clone();
        let sessions = Sessions::start(objects.clone(), bounds, counters, (stop.clone(), tasks.clone()))?;
        sessions.disconnect_all().await;
        sessions.forget_all().await?;
        let server = Self(Arc::new(Inner {
            objects,
            tokens,
            pki,
            admin_token,
            controller_token,
            metrics,
            watches: Arc::new(Semaphore::new(options.max_watches)),
            connections: Arc::new(Semaphore::new(options.max_connections)),
            // Each needs as much space as the store.
            backups: Arc::new(Semaphore::new(1)),
            options,
            sessions,
            _stop_at_last: stop.clone().drop_guard(),
            stop,
            tasks,
        }));
        server.0.tasks.spawn(identity::sweep(server.0.tokens.clone(), server.stopping()));
        server.0.tasks.spawn(history::trim(server.0.objects.store.clone(), server.stopping()));
        server.0.tasks.spawn(tombstones::sweep(server.0.objects.clone(), server.stopping()));
        Ok(server)
    }

    /// The administrator's token, as in `admin.token`.
    pub fn admin_token(&self) -> &str {
        &self.0.admin_token
    }

    /// The token of the reconciler that runs beside this server; another one at every start, and nowhere on disk.
    pub fn controller_token(&self) -> &str {
        &self.0.controller_token
    }

    /// The CA's certificate in PEM, for kubeconfigs.
    pub fn ca_pem(&self) -> &str {
        self.0.pki.ca_pem()
    }

    /// SHA-256 of the CA's certificate, in hex: the last part of a join token.
    pub fn ca_pin(&self) -> &str {
        self.0.pki.pin()
    }

    /// Makes the server's own host a node, labelled `drover.dev/role=server`, and gives it a credential; an older one
    /// of that node is revoked. Fails when the name is not a DNS-1123 subdomain or the store does not take it.
    pub async fn join_local(&self, node: &str) -> Result<JoinResponse, ApiError> {
        self.0.sessions.join_local(node).await
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.0.objects
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// Who bears a token, if that one is still there and the token is for this server.
    pub(crate) async fn identify(&self, token: &str) -> Result<Role, ApiError> {
        let role = self.0.tokens.identify(token).await?;
        if self.0.objects.is_good(&role)? { Ok(role) } else { Err(ApiError::unauthorized()) }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// The one turn to make a backup, and where the server keeps its files.
    pub(crate) fn backup_turn(&self) -> Result<(OwnedSemaphorePermit, &std::path::Path), ApiError> {
        match self.0.backups.clone().try_acquire_owned() {
            Ok(turn) => Ok((turn, &self.0.options.data_dir)),
            Err(_) => Err(ApiError::too_many("another backup is being made; one at a time")),
        }
    }

    pub(crate) fn watch_seat(&self) -> Result<Seat, ApiError> {
        match self.0.watches.clone().try_acquire_owned() {
            Ok(permit) => Ok(Seat::new(self.0.metrics.watches.clone(), permit, self.0.tasks.token())),
            Err(_) => Err(ApiError::too_many(format!(
                "too many watches: this server holds {} at most",
                self.0.options.max_watches
            ))),
        }
    }

    /// Tells every stream and connection to end.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Answers requests on one connection, without TLS, until it ends: what the accept loop does after the
    /// handshake, and a test does over a pipe in memory.
    pub async fn serve_connection(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        self.0.metrics.connections.inc();
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.0.options.handshake_timeout)
            .max_buf_size(64 << 10);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_header_list_size(64 << 10)
            .max_send_buf_size(64 << 10)
            .keep_alive_interval(Duration::from_secs(30));
        let activity = Arc::new(Activity::default());
        let io = Patient::new(io, activity.clone(), self.0.options.handshake_timeout);
        let server = self.clone();
        let service = service_fn(move |request| server.clone().answer(request, activity.begin()));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = self.0.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(self.0.options.drain_timeout, connection).await {
                    Ok(ended) => ended,
                    Err(_) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection ended badly");
        }
        self.0.metrics.connections.dec();
    }

    async fn answer(
        self,
        request: hyper::Request<Incoming>,
        underway: Underway,
    ) -> Result<hyper::Response<Answer>, Infallible> {
        let (parts, body) = routes::handle(self, request.map(Body::new)).await.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            underway.for_good();
            return Ok(hyper::Response::from_parts(
                parts,
                Answer::new(body, Arc::<Activity>::default().begin()),
            ));
        }
        Ok(hyper::Response::from_parts(parts, Answer::new(body, underway)))
    }

    /// Accepts TLS connections until [`Server::stop`], then lets open requests end.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), StartError> {
        let acceptor = TlsAcceptor::from(Arc::new(self.0.pki.server_config()?));
        let mut renewal = tokio::time::interval(Pki::renewal());
        renewal.tick().await;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.0.stop.cancelled() => break,
                _ = renewal.tick() => {
                    let now = self.0.objects.world.clock.now();
                    if let Err(error) = self.0.pki.renew(now) {
                        tracing::error!(error = &error as &dyn std::error::Error, "the leaf was not renewed");
                    }
                    continue;
                }
                accepted = self.accept(&listener) => accepted,
            };
            let Some((permit, tcp)) = accepted else { continue };
            let (server, acceptor) = (self.clone(), acceptor.clone());
            self.0.tasks.spawn(async move {
                // A client that stalls in the handshake holds up nobody but itself.
                let handshake =
                    tokio::time::timeout(server.0.options.handshake_timeout, acceptor.accept(tcp));
                match handshake.await {
                    Ok(Ok(tls)) => server.serve_connection(tls).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
                drop(permit);
            });
        }
        self.stopped().await;
        Ok(())
    }

    /// Waits, after [`Server::stop`], until every session and everything in the background has ended.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    async fn accept(&self, listener: &TcpListener) -> Option<(OwnedSemaphorePermit, tokio::net::TcpStream)> {
        // The semaphore is never closed.
        let permit = self.0.connections.clone().acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok((tcp, _)) => {
                // Small answers must not wait for an acknowledgement; without it they are slower, not wrong.
                let _ = tcp.set_nodelay(true);
                // A peer that is gone without a word is noticed, also where nothing is to be sent to it.
                let _ = keep_alive(&tcp);
                Some((permit, tcp))
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Out of file descriptors: give those that are open a moment to end.
                tokio::time::sleep(Duration::from_millis(100)).await;
                None
            }
        }
    }
}

/// Half a minute of silence, then three probes ten seconds apart.
fn keep_alive(tcp: &tokio::net::TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(tcp, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(tcp, 3)
}

//! How everything sees the apiserver, also from within the same process: requests, lists, watches, reflectors,
//! the work queue of a controller, and WebSockets.
//!
//! The seam is a byte stream ([`Dial`]): TLS over TCP in production, a duplex pipe in a simulation. Everything
//! above it is the same HTTP in both. Absent: HTTP/2, proxies, client certificates, the host's own roots (a
//! cluster's CA is pinned), and finding a kubeconfig on disk (the command line does that).

mod backoff;
mod client;
mod config;
mod dial;
mod error;
mod path;
mod pinned;
mod plain_end;
mod pool;
mod queue;
mod reflector;
mod tls;
mod watch;
mod websocket;

pub use backoff::Backoff;
pub use client::{
    ByteStream, Client, DeleteOptions, List, ListMeta, ListOptions, PatchKind, Preconditions, Request,
    Response,
};
pub use config::{ClientConfig, ConfigError, FromKubeconfig};
pub use dial::{BoxStream, Dial, FnDial, Stream};
pub use error::{ApiError, Cause, Details, Error, Status};
pub use path::{Query, segment};
pub use pinned::{PinnedDial, WrongPin};
pub use queue::{QueueFull, QueueOptions, Work, WorkQueue};
pub use reflector::{Change, Key, Reflector, ReflectorOptions};
pub use tls::TlsDial;
pub use watch::{EventKind, Watch, WatchEvent, WatchOptions};
pub use websocket::{Message, WebSocket, WebSocketReceiver, WebSocketSender};

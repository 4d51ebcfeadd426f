//! The client against real HTTP servers: in memory, and once over TLS.

mod queue;
mod reflector;
mod requests;
mod server;
mod tls;
mod websocket;

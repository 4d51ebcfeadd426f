//! The network between two hosts: streams of bytes that are late, cut into pieces, held up, broken.
//!
//! A stream is what TLS over TCP gives in production: bytes in order, or an error. What the network loses comes later;
//! what it repeats, swaps or damages is noticed by the receiver and ends the connection. Connections are independent of
//! each other, so what goes through two of them arrives in any order.

mod dial;
mod link;
mod pipe;

pub use dial::{Accept, SimDial};
pub use link::{Direction, Link, Quality};
pub use pipe::End;

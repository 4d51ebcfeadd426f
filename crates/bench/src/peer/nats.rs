//! NATS core: publish and subscribe in memory, no TLS.

use std::path::Path;

use anyhow::Result;

use super::install::Installed;
use super::message_bus::MessageBus;
use crate::processes::Running;

pub(super) struct Nats(pub(super) Installed);

impl MessageBus for Nats {
    fn start(&self, dir: &Path, port: u16) -> Result<Running> {
        let mut command = self.0.command("nats-server")?;
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        Running::start(&mut command, &dir.join("nats.log"))
    }

    fn subscribe(&self) -> (Vec<u8>, &'static [u8]) {
        (b"CONNECT {\"verbose\":false}\r\nSUB s 1\r\nPING\r\n".to_vec(), b"PONG\r\n")
    }

    fn greet(&self) -> (Vec<u8>, &'static [u8]) {
        (b"CONNECT {\"verbose\":false}\r\nPING\r\n".to_vec(), b"PONG\r\n")
    }

    fn publish(&self, message: &str) -> Vec<u8> {
        format!("PUB s {}\r\n{message}\r\n", message.len()).into_bytes()
    }
}

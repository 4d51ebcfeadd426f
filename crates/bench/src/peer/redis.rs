//! Redis: publish and subscribe in memory, no TLS, nothing saved.

use std::path::Path;

use anyhow::Result;

use super::install::Installed;
use super::message_bus::MessageBus;
use crate::processes::Running;

pub(super) struct Redis(pub(super) Installed);

impl MessageBus for Redis {
    fn start(&self, dir: &Path, port: u16) -> Result<Running> {
        // The package makes the server a link to this one, which its name tells what to be.
        let mut command = self.0.command("redis-server")?;
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--client-output-buffer-limit", "pubsub 0 0 0", "--dir"])
            .arg(dir);
        Running::start(&mut command, &dir.join("redis.log"))
    }

    fn subscribe(&self) -> (Vec<u8>, &'static [u8]) {
        (b"SUBSCRIBE s\r\n".to_vec(), b":1\r\n")
    }

    fn greet(&self) -> (Vec<u8>, &'static [u8]) {
        (b"PING\r\n".to_vec(), b"+PONG\r\n")
    }

    fn publish(&self, message: &str) -> Vec<u8> {
        format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\ns\r\n${}\r\n{message}\r\n", message.len()).into_bytes()
    }
}

//! The host itself: which boot this is, and what the server is told of it.

use std::any::Any;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use drover_wire::{MAX_LABELS, MAX_NAME, NodeFacts};

use crate::lock::{DirLock, LockError};

/// What an agent must know of the host that it runs on. Calls are short.
pub trait Machine: Send + Sync {
    /// The kernel's name of this boot.
    fn boot_id(&self) -> io::Result<String>;
    /// What the server is told. What cannot be found out is left empty.
    fn facts(&self) -> NodeFacts;
    /// Makes the data directory this agent's alone, for as long as what is returned is held.
    fn lock(&self, data_dir: &Path) -> Result<Box<dyn Any + Send>, LockError>;
}

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealMachine;

impl Machine for RealMachine {
    fn boot_id(&self) -> io::Result<String> {
        drover_spawn::process::boot_id()
    }

    fn lock(&self, data_dir: &Path) -> Result<Box<dyn Any + Send>, LockError> {
        Ok(Box::new(DirLock::take(data_dir)?))
    }

    fn facts(&self) -> NodeFacts {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kernel = rustix::system::uname();
        let text = |part: &std::ffi::CStr| bounded(&part.to_string_lossy());
        let mut addresses = ipv4(&read("/proc/net/fib_trie"));
        addresses.extend(ipv6(&read("/proc/net/if_inet6")));
        addresses.truncate(MAX_LABELS);
        NodeFacts {
            os: bounded(&os(&read("/etc/os-release"))),
            kernel: text(kernel.release()),
            arch: text(kernel.machine()),
            cpus: std::thread::available_parallelism()
                .map_or(0, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
            memory_bytes: memory(&read("/proc/meminfo")),
            hostname: text(kernel.nodename()),
            addresses,
            tzdb_version: bounded(&tzdb(&first_line("/usr/share/zoneinfo/tzdata.zi"))),
        }
    }
}

fn bounded(text: &str) -> String {
    let mut text = text.to_owned();
    let mut end = text.len().min(MAX_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn os(release: &str) -> String {
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

fn memory(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kib.map_or(0, |kib| kib.saturating_mul(1024))
}

fn first_line(path: &str) -> String {
    let mut start = [0; 64];
    let read = fs::File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut start)).unwrap_or(0);
    String::from_utf8_lossy(&start[..read]).lines().next().unwrap_or_default().to_owned()
}

/// Timers use the host's time zones, where it has some, and the ones built in otherwise.
fn tzdb(line: &str) -> String {
    match line.strip_prefix("# version ") {
        Some(version) => version.to_owned(),
        None if Path::new("/usr/share/zoneinfo/UTC").exists() => "system".into(),
        None => "bundled".into(),
    }
}

/// The kernel shows addresses of its own in the routing trie: the address, and below it `/32 host LOCAL`.
fn ipv4(trie: &str) -> Vec<String> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut address = None;
    for line in trie.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("|-- ") {
            address = rest.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(address.filter(|address| !address.is_loopback()));
        }
    }
    found.sort();
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

/// Lines of `<32 hex digits> <index> <prefix> <scope> ...`; scope 00 is global.
fn ipv6(list: &str) -> Vec<String> {
    let mut found: Vec<Ipv6Addr> = Vec::new();
    for line in list.lines() {
        let mut fields = line.split_ascii_whitespace();
        let address = fields.next().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        if fields.nth(2) == Some("00") {
            found.extend(address.map(Ipv6Addr::from));
        }
    }
    found.sort();
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_host_without_loopback_and_link_local() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n\
                    \x20       |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4(trie), ["192.0.2.7"]);
        let list = "20010db8000000000000000000000001 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(ipv6(list), ["2001:db8::1"]);
    }

    #[test]
    fn this_machine_has_facts() {
        let facts = RealMachine.facts();
        assert!(facts.cpus > 0 && facts.memory_bytes > 1 << 20, "{facts:?}");
        assert!([&facts.os, &facts.kernel, &facts.arch, &facts.hostname].iter().all(|fact| !fact.is_empty()));
        assert_eq!(memory("MemTotal:       16 kB\n"), 16384);
        assert_eq!(tzdb("# version 2026a"), "2026a");
        assert_eq!(bounded(&"é".repeat(400)).len(), MAX_NAME - 1);
    }
}

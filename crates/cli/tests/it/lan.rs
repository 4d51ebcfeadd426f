//! A small network of this machine's own: one namespace for the server, one for each host, a bridge between them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the server's namespace is found by the hosts.
pub(crate) const HUB: &str = "10.213.0.1";

/// The network; when it goes, every process in it is killed and the namespaces are removed.
pub(crate) struct Lan {
    prefix: String,
    hosts: usize,
}

fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments.split(' ')).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Lan {
    /// A network with so many hosts; `None`, with the reason printed, where this user may not make one.
    pub(crate) fn new(hosts: usize) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let lan = Self { prefix: format!("drv{}-{number}", std::process::id()), hosts };
        let hub = lan.hub();
        if !ip(&format!("netns add {hub}")) {
            eprintln!("skipped: `ip netns add` needs root and iproute2");
            return None;
        }
        let mut good = ip(&format!("-n {hub} link set lo up"))
            && ip(&format!("-n {hub} link add br0 type bridge"))
            && ip(&format!("-n {hub} addr add {HUB}/24 dev br0"))
            && ip(&format!("-n {hub} link set br0 up"));
        for host in 0..hosts {
            let (space, address) = (lan.host(host), 10 + host);
            good = good
                && ip(&format!("netns add {space}"))
                && ip(&format!("-n {hub} link add v{host} type veth peer name eth0 netns {space}"))
                && ip(&format!("-n {hub} link set v{host} master br0 up"))
                && ip(&format!("-n {space} link set lo up"))
                && ip(&format!("-n {space} addr add 10.213.0.{address}/24 dev eth0"))
                && ip(&format!("-n {space} link set eth0 up"));
        }
        assert!(good, "the namespaces were made, but not their links");
        Some(lan)
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.prefix)
    }

    fn host(&self, host: usize) -> String {
        format!("{}-h{host}", self.prefix)
    }

    /// The server's namespace, to be entered by a thread.
    pub(crate) fn hub_space(&self) -> std::fs::File {
        std::fs::File::open(format!("/run/netns/{}", self.hub())).unwrap()
    }

    /// A program in the server's namespace.
    pub(crate) fn in_hub(&self, program: &str) -> Command {
        inside(&self.hub(), program)
    }

    /// A program in a host's namespace.
    pub(crate) fn in_host(&self, host: usize, program: &str) -> Command {
        inside(&self.host(host), program)
    }

    /// Pulls a host's cable.
    pub(crate) fn cut(&self, host: usize) {
        assert!(ip(&format!("-n {} link set v{host} down", self.hub())));
    }

    /// Puts it back.
    pub(crate) fn mend(&self, host: usize) {
        assert!(ip(&format!("-n {} link set v{host} up", self.hub())));
    }

    /// The processes that live in a host's namespace.
    pub(crate) fn processes(&self, host: usize) -> Vec<u32> {
        processes(&self.host(host))
    }
}

/// The network alone is another one: mounts and process ids stay, so that a process is killed by its id.
fn inside(space: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{space}")).arg("--").arg(program);
    command
}

fn processes(space: &str) -> Vec<u32> {
    let output = Command::new("ip").args(["netns", "pids", space]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

impl Drop for Lan {
    fn drop(&mut self) {
        let spaces: Vec<String> =
            std::iter::once(self.hub()).chain((0..self.hosts).map(|host| self.host(host))).collect();
        for space in &spaces {
            // One that is started while others are killed is killed in the next round.
            while let found @ [_, ..] = processes(space).as_slice() {
                for pid in found {
                    let _ =
                        Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
                }
            }
            let gone = ip(&format!("netns del {space}"));
            if !gone && PathBuf::from(format!("/run/netns/{space}")).exists() {
                eprintln!("the namespace {space} stays");
            }
        }
    }
}

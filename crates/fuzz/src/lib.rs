//! Everything that reads bytes from outside, each as one function that any bytes can be given to.
//!
//! A target panics where a law does not hold: nothing panics, what was read and written again reads the same, a server
//! answers and never with 500. The programs under `fuzz/` drive these functions with libFuzzer (`cargo xtask fuzz`);
//! the test of this crate gives them what is kept in `fuzz/corpus`, on any toolchain.
//!
//! Sessions and journals run in virtual time, on what `drover-testkit` simulates.

mod http;
mod journal;
mod kubeconfig;
mod manifest;
mod object;
mod run_files;
mod schedule;
mod selector;
mod server;
mod session;
mod virtual_time;
mod wire;

/// A target: its name, which is also that of its folder in `fuzz/corpus`, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 17] = [
    ("agent_session", session::to_agent),
    ("cron", schedule::cron),
    ("http_body", http::body),
    ("http_patch", http::patch),
    ("http_query", http::query),
    ("http_raw", http::raw),
    ("http_token", http::token),
    ("journal", journal::journal),
    ("kubeconfig", kubeconfig::kubeconfig),
    ("manifest", manifest::manifest),
    ("object", object::object),
    ("quantity", schedule::quantity),
    ("run_state", run_files::state),
    ("segments", run_files::segments),
    ("selector", selector::selector),
    ("server_session", session::to_server),
    ("wire", wire::frame),
];

/// Gives `data` to the target of this name.
///
/// # Panics
/// Where a law does not hold, and where there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    target(data);
}

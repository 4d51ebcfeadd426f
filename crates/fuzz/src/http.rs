//! Requests to the apiserver: bare bytes, bodies, patches, queries, tokens.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::server::{request, send, status};

const TIMERS: &str = "/apis/drover.dev/v1/namespaces/default/timers";

/// The collections that a body may be meant for.
const COLLECTIONS: [&str; 9] = [
    "/apis/drover.dev/v1/namespaces/default/timers",
    "/apis/drover.dev/v1/namespaces/default/tasks",
    "/apis/drover.dev/v1/namespaces/default/services",
    "/apis/drover.dev/v1/nodepools",
    "/apis/drover.dev/v1/tokens",
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/configmaps",
];

/// A server that does not know what to say has a bug; so has one that says nothing.
fn answered(status: Option<u16>, what: &str) -> u16 {
    let status = status.unwrap_or_else(|| panic!("{what}: no answer"));
    assert!(status != 500, "{what}: 500");
    status
}

/// All that a client sends, as it is. `$TOKEN` stands for the administrator's token.
pub(crate) fn raw(data: &[u8]) {
    let answer = send(data);
    // What is no HTTP gets an error or nothing.
    if let Some(status) = status(&answer) {
        answered(Some(status), "bare bytes");
    }
}

/// The first byte says of what kind it is to be.
pub(crate) fn body(data: &[u8]) {
    let Some((which, json)) = data.split_first() else { return };
    let collection = COLLECTIONS[usize::from(*which) % COLLECTIONS.len()];
    answered(request("POST", &format!("{collection}?dryRun=All"), "application/json", json), collection);
    answered(request("PUT", &format!("{TIMERS}/t?dryRun=All"), "application/json", json), "PUT");
}

pub(crate) fn patch(data: &[u8]) {
    for path in ["timers/t?dryRun=All", "timers/t/status?dryRun=All"] {
        let path = format!("/apis/drover.dev/v1/namespaces/default/{path}");
        answered(request("PATCH", &path, "application/merge-patch+json", data), &path);
    }
}

/// Each line is a parameter of a list; the last is also a `continue` as the server writes them.
pub(crate) fn query(data: &[u8]) {
    const NAMES: [&str; 6] =
        ["labelSelector", "fieldSelector", "limit", "resourceVersion", "resourceVersionMatch", "continue"];
    let mut lines: Vec<&[u8]> = data.splitn(NAMES.len(), |byte| *byte == b'\n').collect();
    let query: Vec<String> =
        NAMES.iter().zip(&lines).map(|(name, value)| format!("{name}={}", percent(value))).collect();
    answered(request("GET", &format!("{TIMERS}?{}", query.join("&")), "application/json", b""), "a list");
    let last = BASE64_URL_SAFE_NO_PAD.encode(lines.pop().unwrap_or_default());
    answered(request("GET", &format!("{TIMERS}?limit=1&continue={last}"), "application/json", b""), "a page");
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// Nobody is let in by a token that was not given out.
pub(crate) fn token(data: &[u8]) {
    if data.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
        || data.windows(6).any(|window| window == b"$TOKEN")
    {
        return;
    }
    for (method, path) in [("POST", "/apis/drover.dev/v1/nodes/n/join"), ("GET", "/api/v1/nodes")] {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: drover\r\nconnection: close\r\nauthorization: ")
                .into_bytes();
        head.extend_from_slice(data);
        head.extend_from_slice(b"\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
        if let Some(status) = status(&send(&head)) {
            let status = answered(Some(status), path);
            assert!((400..500).contains(&status), "{path}: {status}");
        }
    }
}
